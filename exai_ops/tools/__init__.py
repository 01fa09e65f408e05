"""Tools that the daemon serves, and the way to write one."""
