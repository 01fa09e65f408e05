"""The shell of one connection: order, slow clients, and clients that leave while frames go out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side, State

from exai_ops.daemon import connection as shell
from exai_ops.daemon.connection import WebSocketConnection
from exai_ops.daemon.server import WebSocketProtocol

from .daemon_parts import turns


class Wire:
    """What the server does with frames; ``takes`` says whether it takes any at once."""

    def __init__(self) -> None:
        self.takes = False
        self.written: list[str] = []
        self.go = asyncio.Event()
        self.go.set()
        self.error: Exception | None = None
        self.aborted = False

    def write_texts(self, texts: Iterable[str]) -> bool:
        if self.takes:
            self.written += texts
        return self.takes

    def abort(self) -> None:
        self.aborted = True

    async def send(self, message: Any) -> None:
        await self.go.wait()
        if self.error is not None:
            raise self.error
        self.written.append(message.get("text") or message["type"])

    async def receive(self) -> Any:
        return {"type": "websocket.disconnect"}


@pytest.fixture
async def wire() -> Wire:
    return Wire()


@pytest.fixture
async def connection(wire: Wire) -> WebSocketConnection:
    scope = {"extensions": {"exai.websocket": wire}}
    return WebSocketConnection(scope, wire.receive, wire.send)


@pytest.mark.parametrize("takes", [False, True])
async def test_frames_leave_in_their_order(connection: WebSocketConnection, wire: Wire, takes: bool) -> None:
    wire.takes = takes
    connection.hold("a")
    assert connection.unsent
    await connection.send("b")
    connection.hold("c")
    await connection.flush()
    await connection.flush()
    assert wire.written == ["a", "b", "c"]
    assert not connection.unsent


async def test_the_first_sender_writes_for_all(connection: WebSocketConnection, wire: Wire) -> None:
    wire.go.clear()
    first = asyncio.create_task(connection.send("a"))
    await turns(2)
    assert connection.blocked_since is not None
    async with asyncio.timeout(1):
        await connection.send("b")
    wire.go.set()
    await first
    assert wire.written == ["a", "b"]
    assert connection.blocked_since is None


async def test_a_cancelled_sender_leaves_its_frames_to_the_next(
    connection: WebSocketConnection, wire: Wire
) -> None:
    wire.go.clear()
    first = asyncio.create_task(connection.send("a"))
    await turns(2)
    first.cancel()
    await turns(2)
    wire.go.set()
    await connection.send("b")
    assert wire.written == ["a", "b"]


@pytest.mark.parametrize("error", [ConnectionResetError(), OSError(), RuntimeError("close sent")])
async def test_a_client_that_left_is_no_error(
    connection: WebSocketConnection, wire: Wire, error: Exception
) -> None:
    wire.error = error
    await connection.send("a")
    await connection.send("b")
    await connection.flush()
    await connection.close(1000, "bye")
    assert connection.closed


async def test_a_backlog_that_is_too_long_aborts(
    connection: WebSocketConnection, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "BACKLOG_BYTES", 10)
    wire.go.clear()
    first = asyncio.create_task(connection.send("a"))
    await turns(2)
    await connection.send("b" * 10)
    assert wire.aborted
    assert connection.closed
    first.cancel()


async def test_one_close_is_sent(connection: WebSocketConnection, wire: Wire) -> None:
    for _ in range(2):
        await connection.close(4003, "unauthorized")
    assert wire.written == ["websocket.close"]
    assert await WebSocketConnection({}, wire.receive, wire.send).receive() is None


# --- the server's side ---------------------------------------------------------------------------


class Transport:
    def __init__(self) -> None:
        self.data = b""
        self.closing = False

    def write(self, data: bytes) -> None:
        self.data += data

    def is_closing(self) -> bool:
        return self.closing


def server_side(state: State) -> Any:
    """As much of the server's protocol as writing needs, with the real state machine."""
    machine = Protocol(Side.SERVER)
    if state is State.CLOSING:
        machine.receive_data(_masked_close())
    assert machine.state is state
    writable = asyncio.Event()
    writable.set()
    return SimpleNamespace(
        conn=machine, transport=Transport(), writable=writable, disconnected=False, close_sent=False
    )


def _masked_close() -> bytes:
    payload = int(CloseCode.NORMAL_CLOSURE).to_bytes(2, "big")
    return Frame(Opcode.CLOSE, payload).serialize(mask=True)


async def test_frames_are_written_at_once() -> None:
    side = server_side(State.OPEN)
    assert WebSocketProtocol.write_texts(side, ["a", "b"])
    assert side.transport.data == b"\x81\x01a\x81\x01b"


async def test_nothing_is_written_after_the_clients_close_frame() -> None:
    """Its close frame has come and the connection is not gone yet: a result that is sent just then."""
    side = server_side(State.CLOSING)
    assert not WebSocketProtocol.write_texts(side, ["a"])


async def test_nothing_is_written_to_a_full_or_closing_transport() -> None:
    side = server_side(State.OPEN)
    side.writable.clear()
    assert not WebSocketProtocol.write_texts(side, ["a"])
    side.writable.set()
    side.transport.closing = True
    assert not WebSocketProtocol.write_texts(side, ["a"])
    assert side.transport.data == b""
