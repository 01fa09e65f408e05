"""A client of the daemon's WebSocket protocol."""

from exai_ops.client.connection import Connection, ConnectionLost, Frame, NotReachable, connect
from exai_ops.client.target import Target

__all__ = ["Connection", "ConnectionLost", "Frame", "NotReachable", "Target", "connect"]
