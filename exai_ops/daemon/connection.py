"""One WebSocket connection: the protocol's shell over ASGI.

Frames leave in the order in which ``send`` was called. The first sender writes for all, so a client that
reads slowly holds up one call at most, until its backlog passes the limit or its time is up: then the
connection, not the daemon, pays.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, Protocol

from exai_ops.daemon import protocol
from exai_ops.daemon.core import Daemon
from exai_ops.daemon.guard import Receive, Scope, Send
from exai_ops.daemon.protocol import ServerProtocol
from exai_ops.daemon.sessions import Session
from exai_ops.logs import get_logger

_LOG = get_logger("exai.websocket")

BACKLOG_BYTES: Final = 16 * 1024 * 1024
"""Unsent frames beyond which a client counts as too slow."""
SEND_TIMEOUT_S: Final = 30.0
"""How long a client may take no byte before its connection is aborted."""


class Wire(Protocol):
    """What the server offers beyond ASGI: see ``server.WebSocketProtocol``."""

    def write_texts(self, texts: Iterable[str]) -> bool:
        """Write text frames at once; False when that cannot be done now."""

    def abort(self) -> None:
        """Drop the connection at once."""


class WebSocketConnection:
    """A client on the wire."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.closed = False
        self.blocked_since: float | None = None
        self._receive = receive
        self._send = send
        self._wire: Wire | None = scope.get("extensions", {}).get("exai.websocket")
        self._out: deque[str] = deque()
        self._out_bytes = 0
        self._writing = False

    @property
    def unsent(self) -> bool:
        """Whether frames wait that nobody is writing."""
        return bool(self._out) and not self._writing and not self.closed

    def hold(self, frame: str) -> None:
        """Put a frame before the next one that is sent: one write for both."""
        if not self.closed:
            self._out.append(frame)
            self._out_bytes += len(frame)

    async def send(self, frame: str) -> None:
        """Send a frame after those before it. Cancelling leaves it to the next sender."""
        if self.closed:
            return
        self.hold(frame)
        if self._writing:
            if self._out_bytes > BACKLOG_BYTES:
                self.abort("too slow: its backlog is full")
            return
        if self._wire is not None and self._wire.write_texts(self._out):
            self._out.clear()
            self._out_bytes = 0
            return
        self._writing = True
        try:
            await self._write()
        except (
            OSError,
            RuntimeError,
        ):  # how uvicorn says that the client left, or that a ping went unanswered
            self.closed = True
        finally:
            self._writing = False
            self.blocked_since = None

    async def _write(self) -> None:
        self.blocked_since = time.monotonic()
        while self._out and not self.closed:
            await self._send({"type": "websocket.send", "text": self._out[0]})
            self._out_bytes -= len(self._out.popleft())
            self.blocked_since = time.monotonic()

    async def flush(self) -> None:
        """Write what is held, and what a cancelled sender left behind."""
        if self.unsent:
            frame = self._out.pop()
            self._out_bytes -= len(frame)
            await self.send(frame)

    async def receive(self) -> str | bytes | None:
        """The next message; None once the client is gone."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self.closed = True
            return None
        text = message.get("text")
        return text if text is not None else bytes(message.get("bytes") or b"")

    async def close(self, code: int, reason: str) -> None:
        """Close with a code; at most one close is sent."""
        if self.closed:
            return
        self.closed = True
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except (OSError, RuntimeError, TimeoutError):
            _LOG.debug("close not sent", code=code)

    def abort(self, why: str) -> None:
        """Drop the connection without a word: it does not take any."""
        self.closed = True
        _LOG.warning("connection aborted", why=why)
        if self._wire is not None:
            self._wire.abort()


async def serve_websocket(daemon: Daemon, scope: Scope, receive: Receive, send: Send) -> None:
    """A connection from its handshake to its end."""
    connection = WebSocketConnection(scope, receive, send)
    await receive()
    await send({"type": "websocket.accept"})
    refusal = daemon.admit(connection)
    if refusal is not None:
        await connection.close(*refusal)
        return
    try:
        with daemon.monitor.connection("websocket", script_name="daemon", function_name="connection") as told:
            await _converse(daemon, connection, told)
    finally:
        daemon.connections.discard(connection)


async def _converse(daemon: Daemon, connection: WebSocketConnection, told: dict[str, Any]) -> None:
    """Serve a client to its end; ``told`` gets its session for the monitor."""
    machine = ServerProtocol()
    session = await _hello(daemon, connection, machine)
    if session is None:
        return
    told["session"] = session.id
    try:
        while (data := await connection.receive()) is not None:
            await _handle(daemon, session, connection, machine, data)
    finally:
        daemon.left(session, connection)


async def _hello(daemon: Daemon, connection: WebSocketConnection, machine: ServerProtocol) -> Session | None:
    """Let the client in; None when it was not."""
    try:
        async with asyncio.timeout(daemon.settings.ws_hello_timeout_s):
            data = await connection.receive()
    except TimeoutError:
        daemon.rejected("hello too late")
        await connection.send(protocol.hello_refused("missing_hello"))
        await connection.close(protocol.CLOSE_HELLO_LATE, "no hello in time")
        return None
    if data is None:
        return None
    message = machine.receive(data)
    answer = await daemon.enter(connection, message) if isinstance(message, protocol.Hello) else message
    if isinstance(answer, Session):
        machine.opened()
        return answer
    if isinstance(answer, protocol.Refused):
        daemon.rejected(answer.reason)
        await connection.send(answer.frame)
        await connection.close(answer.close or protocol.CLOSE_INVALID, answer.reason)
    return None


async def _handle(
    daemon: Daemon,
    session: Session,
    connection: WebSocketConnection,
    machine: ServerProtocol,
    data: str | bytes,
) -> None:
    """Act on one message. Nothing here waits for a call, the store or a provider."""
    message = machine.receive(data)
    if isinstance(message, protocol.Refused):
        daemon.received("invalid", len(data))
        await connection.send(message.frame)
        return
    op = str(message.__struct_config__.tag)
    if isinstance(message, protocol.CallTool):
        daemon.received(op, len(data), daemon.dispatcher.submit(session, connection, message))
        return
    daemon.received(op, len(data), {"session": session.id})
    match message:
        case protocol.Cancel(request_id):
            daemon.dispatcher.cancel(session, connection, request_id)
        case protocol.FetchResult(request_id):
            daemon.dispatcher.fetch(session, connection, request_id)
        case protocol.Health():
            await connection.send(protocol.encode({"op": "health_res", "ok": True, "health": daemon.brief()}))
        case protocol.ListTools():
            await connection.send(daemon.tools_frame)
        case protocol.RotateToken():
            await connection.send(daemon.rotate(message))
