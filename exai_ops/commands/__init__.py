"""Command-line commands: each parses its options, calls the core, renders and exits."""
