"""One request and its answer over ASGI, with the connection under it in reach."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

TRANSPORT: Final = "exai.transport"
JSON: Final = (b"content-type", b"application/json; charset=utf-8")
SSE: Final[Headers] = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]


class ClientGone(Exception):
    """The client closed the connection before the end of the answer."""


class BodyTooLarge(Exception):
    """The request's body exceeds the limit."""


class Exchange:
    """Reads a request, sends its answer, and notices a client that leaves."""

    __slots__ = ("_receive", "_send", "_transport", "scope")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._transport: asyncio.Transport = scope["extensions"][TRANSPORT]["transport"]

    async def body(self, limit: int) -> bytes:
        """The request's whole body. Raises ClientGone, BodyTooLarge."""
        parts: list[bytes] = []
        left = limit
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            parts.append(message["body"])
            left -= len(message["body"])
            if left < 0:
                raise BodyTooLarge
            if not message["more_body"]:
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def pause(self, seconds: float) -> None:
        """Wait. Raises ClientGone as soon as the client leaves."""
        if seconds <= 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.left()
            raise ClientGone

    async def left(self) -> None:
        """Return once the client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def check(self) -> None:
        """Raises ClientGone when it is known to have left."""
        if self._transport.is_closing():
            raise ClientGone

    async def answer(self, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        """Send a whole answer of JSON. Raises ClientGone."""
        self.check()
        await self.start(status, [JSON, (b"content-length", b"%d" % len(body)), *headers])
        await self._send({"type": "http.response.body", "body": body})

    async def start(self, status: int, headers: Headers) -> None:
        """Send status and headers; ``piece`` sends what follows."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def piece(self, data: bytes, *, last: bool = False) -> None:
        """Send a part of the body. Raises ClientGone."""
        self.check()
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def cut(self) -> None:
        """Close the connection once what was sent has left, whatever is missing."""
        self._transport.close()
        await self.left()

    async def reset(self) -> None:
        """Reset the connection (RST), dropping what was not sent."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        await self.left()
