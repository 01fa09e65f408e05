"""The daemon: protocol, sessions, dispatch, permits, HTTP application and life cycle."""
