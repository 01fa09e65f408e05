"""A client of the WebSocket protocol: the command line's, and any script's."""
