"""Streaming, cancelling, leaving, coming back."""

from __future__ import annotations

import asyncio
import time

import pytest

from .conftest import Simulator
from .exai_process import DaemonProcess
from .ws_client import Client, Frame, error_code, joined, resuming

FEATURES = ["stream", "resume"]
SLOW = "chunks=200; size=2000; pace=0.05"


def deltas(client: Client, request_id: str) -> list[Frame]:
    return [f for f in client.frames if f["op"] == "stream" and f["request_id"] == request_id]


@pytest.mark.parametrize("model", ["kimi", "glm"])
async def test_the_deltas_come_in_order_and_make_the_text(
    daemon: DaemonProcess, sim: Simulator, model: str
) -> None:
    sim.faults(all="chunks=20; size=400")
    async with joined(daemon.address) as client:
        await client.start("r1", "chat", {"prompt": "hello", "model": model}, stream=True)
        result = await client.result("r1")
        pieces = deltas(client, "r1")
    assert all(set(piece) == {"op", "request_id", "seq", "delta"} for piece in pieces)
    assert [piece["seq"] for piece in pieces] == list(range(20))
    assert "".join(piece["delta"] for piece in pieces) == result["text"]
    assert len(result["text"]) == 400
    assert client.frames[-1] is result


async def test_a_client_that_does_not_ask_gets_no_stream(daemon: DaemonProcess) -> None:
    async with joined(daemon.address, features=FEATURES) as client:
        assert (await client.chat("r1", "hello"))["text"]
        assert deltas(client, "r1") == []


async def test_consult_streams_nothing_but_its_result(daemon: DaemonProcess) -> None:
    async with joined(daemon.address) as client:
        await client.start("r1", "consult", {"content": "a change", "kind": "change"}, stream=True)
        result = await client.result("r1")
    assert result["structured"]["verdict"] == "revise"
    assert result["metadata"]["turns_remaining"] > 0
    assert "".join(piece["delta"] for piece in deltas(client, "r1")) in result["text"]


@pytest.mark.parametrize("stream", [True, False])
async def test_cancel_reaches_the_upstream_socket(
    daemon: DaemonProcess, sim: Simulator, stream: bool
) -> None:
    sim.faults(all=SLOW if stream else "stall=30")
    async with joined(daemon.address) as client:
        await client.accepted("r1", "chat", {"prompt": "long"}, stream=stream)
        assert await asyncio.to_thread(sim.reached, in_flight=1)
        if stream:
            await client.op("stream", "r1")
        began = time.monotonic()
        await client.send("cancel", request_id="r1")
        assert await asyncio.to_thread(sim.reached, aborted=1, timeout_s=1)
        assert time.monotonic() - began < 1
        assert error_code(await client.result("r1")) == "CANCELLED"
        assert error_code(await client.chat("r1", "long")) == "CANCELLED"
        assert sim.count("received") == 1


async def test_a_queued_call_can_be_cancelled(daemon: DaemonProcess, sim: Simulator) -> None:
    sim.faults(all="stall=30")
    async with joined(daemon.address) as client:
        for n in range(8):
            await client.accepted(f"r{n}", "chat", {"prompt": "x", "model": "kimi" if n < 5 else "glm"})
        await client.start("queued", "chat", {"prompt": "x", "model": "glm"})
        await client.op("progress", "queued")
        await client.send("cancel", request_id="queued")
        assert error_code(await client.result("queued")) == "CANCELLED"
    assert await asyncio.to_thread(sim.reached, idle=1)
    assert sim.count("received") == 8


async def test_cancel_of_what_is_not_there(daemon: DaemonProcess) -> None:
    async with joined(daemon.address) as client:
        await client.send("cancel", request_id="never")
        assert error_code(await client.result("never")) == "NOT_FOUND"
        done = await client.chat("r1", "quick")
        await client.send("cancel", request_id="r1")
        assert await client.result("r1") == done


async def test_another_session_can_neither_cancel_nor_fetch(daemon: DaemonProcess, sim: Simulator) -> None:
    sim.faults(all="latency=0.5")
    async with joined(daemon.address) as owner, joined(daemon.address) as other:
        await owner.accepted("r1", "chat", {"prompt": "mine"})
        for op in ("cancel", "result"):
            await other.send(op, request_id="r1")
            assert error_code(await other.result("r1")) == "NOT_FOUND"
        assert (await owner.result("r1"))["text"]


@pytest.mark.parametrize("polite", [True, False])
async def test_a_client_that_leaves_cancels_upstream(
    daemon: DaemonProcess, sim: Simulator, polite: bool
) -> None:
    sim.faults(all="stall=30")
    async with joined(daemon.address, features=FEATURES) as client:
        await client.accepted("r1", "chat", {"prompt": "long"})
        assert await asyncio.to_thread(sim.reached, in_flight=1)
        await (client.socket.close() if polite else client.drop())
        assert await asyncio.to_thread(sim.reached, aborted=1, timeout_s=1)
    async with joined(daemon.address, **resuming(client.ack)) as again:
        await again.send("result", request_id="r1")
        assert error_code(await again.result("r1")) == "CANCELLED"


async def test_a_detached_call_outlives_its_connection(daemon: DaemonProcess, sim: Simulator) -> None:
    sim.faults(all="latency=0.5")
    async with joined(daemon.address, features=FEATURES) as client:
        await client.accepted("r1", "chat", {"prompt": "keep me"}, detach=True)
        await client.drop()
    assert await asyncio.to_thread(sim.reached, completed=1)
    async with joined(daemon.address, **resuming(client.ack)) as again:
        assert again.session_id == client.session_id
        await again.send("result", request_id="r1")
        frame = await again.result("r1")
        if error_code(frame) == "RUNNING":  # the provider has answered, the frame is on its way
            frame = await again.result("r1")
        assert frame["text"].endswith('"keep me".')
        assert await again.chat("r1", "keep me") == frame
    assert sim.count("received") == 1


async def test_resume_attaches_to_the_running_stream(daemon: DaemonProcess, sim: Simulator) -> None:
    """Both connections see the whole text, without a gap, from one provider call."""
    sim.faults(all="chunks=40; size=400; pace=0.025")
    async with joined(daemon.address, features=FEATURES) as client:
        await client.accepted("r1", "chat", {"prompt": "go on"}, stream=True, detach=True)
        await client.op("stream", "r1")
        await client.drop()
    async with joined(daemon.address, **resuming(client.ack)) as again:
        result = await again.result("r1")
        pieces = deltas(again, "r1")
    assert [piece["seq"] for piece in pieces] == list(range(40))
    assert "".join(piece["delta"] for piece in pieces) == result["text"]
    assert sim.count("received") == 1


async def test_a_duplicate_in_flight_attaches_and_gets_its_frames(
    daemon: DaemonProcess, sim: Simulator
) -> None:
    sim.faults(all="chunks=20; size=400; pace=0.02")
    async with joined(daemon.address, features=FEATURES) as client:
        await client.accepted("r1", "chat", {"prompt": "once"}, stream=True, detach=True)
        await client.op("stream", "r1")
        async with joined(daemon.address, **resuming(client.ack)) as second:
            await second.start("r1", "chat", {"prompt": "once"}, stream=True)
            assert (await second.op("call_tool_ack", "r1"))["accepted"]
            result = await second.result("r1")
            pieces = deltas(second, "r1")
            assert [piece["seq"] for piece in pieces] == list(range(20))
            assert "".join(piece["delta"] for piece in pieces) == result["text"]
        assert (await client.closed())[0] == 4004
    assert sim.count("received") == 1


@pytest.mark.parametrize("secret", ["wrong", "", "é"])
async def test_a_session_without_its_secret_is_not_taken_up(daemon: DaemonProcess, secret: str) -> None:
    async with joined(daemon.address, features=FEATURES) as client:
        assert len(client.ack["resume"]) >= 22  # 128 bits in base64
        await client.chat("r1", "private")
        async with joined(daemon.address, session_id=client.session_id) as old:
            assert old.session_id != client.session_id
            await old.send("result", request_id="r1")
            assert error_code(await old.result("r1")) == "NOT_FOUND"
        with pytest.raises(AssertionError, match="unauthorized"):
            async with joined(daemon.address, session_id=client.session_id, resume=secret):
                pass
        assert (await client.health())["t"]


async def test_conversations_are_remembered(daemon: DaemonProcess) -> None:
    async with joined(daemon.address) as client:
        first = (await client.chat("r1", "my name is Ada"))["metadata"]
    async with joined(daemon.address) as client:
        second = await client.chat("r2", "what is it?", continuation_id=first["continuation_id"])
    assert 'You said first: "my name is Ada".' in second["text"]
    assert second["metadata"]["continuation_id"] == first["continuation_id"]
    assert second["metadata"]["turns_remaining"] == first["turns_remaining"] - 1
