"""The link against a daemon that the test plays, frame by frame, over real sockets."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from exai_ops.client.connection import Frame, NotReachable
from exai_ops.client.link import Link, LinkedCall
from exai_ops.client.target import Target
from exai_ops.settings import Secret

WAIT_S = 10.0


class Wire:
    """The daemon's end of one connection, after its hello."""

    def __init__(self, socket: ServerConnection, hello: Frame) -> None:
        self.hello = hello
        self._socket = socket
        self.over = asyncio.Event()

    async def receive(self, op: str) -> Frame:
        """The next message, which must be this one."""
        async with asyncio.timeout(WAIT_S):
            message: Frame = json.loads(await self._socket.recv())
        assert message["op"] == op
        return message

    async def send(self, op: str, call: Frame, **fields: Any) -> None:
        """A frame for a call."""
        await self._socket.send(json.dumps({"op": op, "request_id": call["request_id"], **fields}))

    async def end(self, call: Frame, text: str) -> None:
        """A call's good end."""
        await self.send("call_tool_res", call, text=text)

    async def fail(self, call: Frame, code: str) -> None:
        """A call's bad end."""
        await self.send("call_tool_res", call, error={"code": code, "message": "played"})

    async def list(self, *names: str) -> None:
        """The answer to list_tools."""
        tools = [{"name": name} for name in names]
        await self._socket.send(json.dumps({"op": "list_tools_res", "tools": tools}))

    def drop(self) -> None:
        """Cut the connection without a word."""
        self._socket.transport.abort()
        self.over.set()


class Played:
    """Connections as they come; a resume is refused once ``forgetful``."""

    def __init__(self) -> None:
        self.port = 0
        self.forgetful = False
        self._wires: asyncio.Queue[Wire] = asyncio.Queue()
        self._open: list[Wire] = []

    async def serve(self, socket: ServerConnection) -> None:
        hello = json.loads(await socket.recv())
        if self.forgetful and hello.get("resume"):
            await socket.send(json.dumps({"op": "hello_ack", "ok": False, "error": "unauthorized"}))
            return
        secret = {} if hello.get("resume") else {"resume": "the-secret"}
        await socket.send(json.dumps({"op": "hello_ack", "ok": True, "session_id": "s1", **secret}))
        wire = Wire(socket, hello)
        self._open.append(wire)
        self._wires.put_nowait(wire)
        await wire.over.wait()

    async def next(self) -> Wire:
        """The next connection."""
        async with asyncio.timeout(WAIT_S):
            return await self._wires.get()

    def end(self) -> None:
        """Let all go."""
        for wire in self._open:
            wire.over.set()


@asynccontextmanager
async def playing(**options: Any) -> AsyncIterator[tuple[Played, Link]]:
    played = Played()
    async with serve(played.serve, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with linked(port, **options) as link:
            yield played, link
        played.end()


@asynccontextmanager
async def linked(port: int, **options: Any) -> AsyncIterator[Link]:
    link = Link(Target(f"ws://127.0.0.1:{port}/", Secret("the-token")), **options)
    running = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        running.cancel()
        await asyncio.wait({running})


async def last(call: LinkedCall) -> Frame:
    """A call's last frame."""
    async with asyncio.timeout(WAIT_S):
        while (frame := await call.receive())["op"] not in ("call_tool_res", "error"):
            pass
    return frame


def code(frame: Frame) -> str | None:
    error = frame.get("error") or {}
    return error.get("code")


async def test_it_says_hello_with_token_and_features_and_detaches_its_calls() -> None:
    async with playing() as (played, link), link.call("chat", {"prompt": "x"}, stream=True) as call:
        wire = await played.next()
        assert wire.hello["token"] == "the-token"
        assert wire.hello["features"] == ["stream", "resume"]
        sent = await wire.receive("call_tool")
        assert (sent["name"], sent["arguments"]) == ("chat", {"prompt": "x"})
        assert sent["detach"] is sent["stream"] is True
        await wire.end(sent, "done")
        assert (await last(call))["text"] == "done"


async def test_frames_find_their_call() -> None:
    async with (
        playing() as (played, link),
        link.call("a", {}, stream=False) as one,
        link.call("b", {}, stream=False) as two,
    ):
        wire = await played.next()
        first, second = await wire.receive("call_tool"), await wire.receive("call_tool")
        await wire.end(second, "two")
        await wire.send("progress", {"request_id": "nobody's"}, note="?")
        await wire.end(first, "one")
        assert [(await last(call))["text"] for call in (one, two)] == ["one", "two"]


async def lost_and_found(
    played: Played, link: Link, call: LinkedCall, *, acked: bool = False
) -> tuple[Wire, Frame]:
    """Send a call, lose the connection, and come to where the link asks for the call again."""
    wire = await played.next()
    sent = await wire.receive("call_tool")
    if acked:
        await wire.send("call_tool_ack", sent, accepted=True)
        assert (await call.receive())["op"] == "call_tool_ack"
    wire.drop()
    again = await played.next()
    assert (again.hello["session_id"], again.hello["resume"]) == ("s1", "the-secret")
    asked = await again.receive("result")
    assert asked["request_id"] == sent["request_id"]
    return again, sent


async def test_after_a_lost_connection_it_asks_and_does_not_call_again() -> None:
    async with playing() as (played, link), link.call("chat", {}, stream=False) as call:
        wire, sent = await lost_and_found(played, link, call)
        await wire.end(sent, "kept for you")
        assert (await last(call))["text"] == "kept for you"


async def test_a_running_call_goes_on_without_the_pieces_that_came_before() -> None:
    async with playing() as (played, link), link.call("chat", {}, stream=True) as call:
        wire = await played.next()
        sent = await wire.receive("call_tool")
        for seq, delta in enumerate("ab"):
            await wire.send("stream", sent, seq=seq, delta=delta)
        pieces = [(await call.receive())["delta"] for _ in "ab"]
        wire.drop()
        wire = await played.next()
        await wire.receive("result")
        for seq, delta in enumerate("abc"):
            await wire.send("stream", sent, seq=seq, delta=delta)
        await wire.fail(sent, "RUNNING")
        await wire.end(sent, "abc")
        pieces.append((await call.receive())["delta"])
        assert pieces == ["a", "b", "c"]
        assert (await last(call))["text"] == "abc"


async def test_interrupted_is_told_as_such() -> None:
    async with playing() as (played, link), link.call("chat", {}, stream=False) as call:
        wire, sent = await lost_and_found(played, link, call, acked=True)
        await wire.fail(sent, "INTERRUPTED")
        assert code(await last(call)) == "INTERRUPTED"


async def test_a_call_that_never_arrived_is_sent_again_under_its_id() -> None:
    async with playing() as (played, link), link.call("chat", {"prompt": "x"}, stream=False) as call:
        wire, sent = await lost_and_found(played, link, call)
        await wire.fail(sent, "NOT_FOUND")
        assert await wire.receive("call_tool") == sent
        await wire.end(sent, "at last")
        assert (await last(call))["text"] == "at last"


async def test_a_call_that_was_acknowledged_is_never_sent_again() -> None:
    async with playing() as (played, link), link.call("chat", {}, stream=False) as call:
        wire, sent = await lost_and_found(played, link, call, acked=True)
        await wire.fail(sent, "NOT_FOUND")
        assert code(await last(call)) == "INTERRUPTED"


async def test_a_session_that_is_not_known_any_more_interrupts_its_calls() -> None:
    async with playing() as (played, link):
        async with link.call("chat", {}, stream=False) as call:
            wire = await played.next()
            await wire.receive("call_tool")
            played.forgetful = True
            wire.drop()
            assert code(await last(call)) == "INTERRUPTED"
        fresh = await played.next()
        assert not fresh.hello.get("resume")
        async with link.call("chat", {}, stream=False) as call:
            await fresh.end(await fresh.receive("call_tool"), "anew")
            assert (await last(call))["text"] == "anew"


async def test_leaving_a_call_cancels_it() -> None:
    async with playing() as (played, link):
        async with link.call("chat", {}, stream=False):
            wire = await played.next()
            sent = await wire.receive("call_tool")
        assert (await wire.receive("cancel"))["request_id"] == sent["request_id"]
        await wire.fail(sent, "CANCELLED")
        await link.close(WAIT_S)


async def test_a_call_that_was_left_while_away_is_cancelled_on_return() -> None:
    async with playing() as (played, link):
        async with link.call("chat", {}, stream=False):
            wire = await played.next()
            sent = await wire.receive("call_tool")
            wire.drop()
        again = await played.next()
        assert (await again.receive("cancel"))["request_id"] == sent["request_id"]
        await again.fail(sent, "NOT_FOUND")
        await link.close(WAIT_S)


async def test_closing_cancels_what_runs_and_waits_for_the_word() -> None:
    async with playing() as (played, link), link.call("chat", {}, stream=False) as call:
        wire = await played.next()
        sent = await wire.receive("call_tool")
        closing = asyncio.create_task(link.close(WAIT_S))
        await wire.receive("cancel")
        await wire.fail(sent, "CANCELLED")
        await closing
        assert code(await last(call)) == "CANCELLED"


async def test_arguments_that_are_no_json_fail_alone() -> None:
    async with playing() as (played, link):
        async with link.call("chat", {"temperature": math.nan}, stream=False) as call:
            assert (await last(call))["op"] == "error"
        wire = await played.next()
        asking = asyncio.create_task(link.tools())
        await wire.receive("list_tools")
        await wire.list("chat")
        assert await asking == [{"name": "chat"}]


async def test_tools_fail_with_the_connection() -> None:
    async with playing() as (played, link):
        wire = await played.next()
        asking = asyncio.create_task(link.tools())
        await wire.receive("list_tools")
        wire.drop()
        with pytest.raises(NotReachable):
            await asking


async def test_without_a_daemon_it_names_the_command(unused_tcp_port: int) -> None:
    async with linked(unused_tcp_port, patience_s=0.2) as link:
        with pytest.raises(NotReachable) as caught:
            await link.tools()
        assert "exai serve" in str(caught.value.hint)
        with pytest.raises(NotReachable):
            async with link.call("chat", {}, stream=False):
                pass


async def test_a_daemon_that_comes_later_is_found_and_told_of(unused_tcp_port: int) -> None:
    played, up = Played(), asyncio.Event()
    async with linked(unused_tcp_port, patience_s=0.1) as link:
        with pytest.raises(NotReachable):
            await link.tools()
        link.when_up(up.set)
        async with serve(played.serve, "127.0.0.1", unused_tcp_port):
            await asyncio.wait_for(up.wait(), WAIT_S)
            played.end()


async def test_a_daemon_that_stays_away_interrupts_its_calls() -> None:
    played = Played()
    server = await serve(played.serve, "127.0.0.1", 0)
    port = next(iter(server.sockets)).getsockname()[1]
    async with linked(port, away_s=0.1) as link, link.call("chat", {}, stream=False) as call:
        wire = await played.next()
        await wire.receive("call_tool")
        wire.drop()
        server.close()
        await server.wait_closed()
        assert code(await last(call)) == "INTERRUPTED"
