"""Operations toolkit of a WebSocket daemon that serves AI tools over Kimi and GLM."""

__version__ = "0.1.0"
