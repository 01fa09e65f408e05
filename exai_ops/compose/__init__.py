"""Compose files: services, env files, interpolation, rules."""
