"""The daemon's ``/events``, from outside: messages as bytes, whose meaning the caller knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from exai_ops.client.connection import ConnectionLost, dial, lost
from exai_ops.client.target import Target
from exai_ops.errors import CouldNotLook

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection
    from websockets.exceptions import ConnectionClosed

_POLICY: Final = 1008


class EventSocket:
    """An open connection. Its methods may be cancelled."""

    def __init__(self, socket: ClientConnection, target: Target) -> None:
        self._socket = socket
        self._target = target

    async def send(self, message: bytes) -> None:
        """Send one message. Raises ConnectionLost."""
        from websockets.exceptions import ConnectionClosed

        try:
            await self._socket.send(message, text=True)
        except ConnectionClosed as closed:
            raise _lost(self._target, closed) from closed

    async def receive(self) -> bytes:
        """The next message. Raises ConnectionLost, or NotReachable for what is no WebSocket."""
        from websockets.exceptions import ConnectionClosed

        try:
            return await self._socket.recv(decode=False)
        except ConnectionClosed as closed:
            raise _lost(self._target, closed) from closed


@asynccontextmanager
async def connect_events(target: Target) -> AsyncIterator[EventSocket]:
    """A connection, closed on the way out. Raises NotReachable, SettingsError for a refused token."""
    socket = await dial(target, events_url(target.url), bearer=bool(target.token))
    try:
        yield EventSocket(socket, target)
    finally:
        await socket.close()


def _lost(target: Target, closed: ConnectionClosed) -> CouldNotLook:
    error = lost(target, closed)
    if closed.rcvd is None and isinstance(error, ConnectionLost):
        return ConnectionLost(f"the connection to {events_url(target.url)} was lost")
    if closed.rcvd is not None and closed.rcvd.code == _POLICY:
        error.hint = None  # its reason names the limit
    return error


def events_url(url: str) -> str:
    """Where ``/events`` is beside the WebSocket of calls, at ``/`` or ``/ws``."""
    parts = urlsplit(url)
    folder = parts.path.removesuffix("/").removesuffix("/ws")
    return urlunsplit(parts._replace(path=f"{folder}/events"))
