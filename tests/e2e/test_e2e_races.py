"""Messages that arrive in an awkward moment."""

from __future__ import annotations

import asyncio
import signal

import pytest

from .conftest import Simulator, StartDaemon, urls
from .exai_process import DaemonProcess
from .ws_client import Client, error_code, joined, raw, resuming

FEATURES = ["stream", "resume"]


async def _restarted(start_daemon: StartDaemon, sim: Simulator) -> tuple[DaemonProcess, Client]:
    """A daemon that knows a session from its store alone."""
    first = start_daemon(urls(sim.base_url))
    async with joined(first.address, features=FEATURES) as client:
        await client.chat("r0", "before")
    assert await asyncio.to_thread(first.stop) == -signal.SIGTERM
    return start_daemon(urls(sim.base_url)), client


async def test_cancel_right_behind_a_call_of_a_restored_session(
    start_daemon: StartDaemon, sim: Simulator
) -> None:
    daemon, before = await _restarted(start_daemon, sim)
    sim.faults(all="stall=30")
    async with joined(daemon.address, **resuming(before.ack)) as client:
        await client.start("r1", "chat", {"prompt": "x"})
        await client.send("cancel", request_id="r1")
        assert error_code(await client.result("r1")) == "CANCELLED"
        await client.start("r0", "chat", {"prompt": "before"})
        await client.send("cancel", request_id="r0")
        assert error_code(await client.result("r0")) in (None, "CANCELLED")
        assert (await client.chat("r0", "before"))["text"], "what was answered stays answered"


async def test_leaving_right_behind_a_call_of_a_restored_session(
    start_daemon: StartDaemon, sim: Simulator
) -> None:
    daemon, before = await _restarted(start_daemon, sim)
    sim.faults(all="stall=30")
    async with joined(daemon.address, **resuming(before.ack)) as client:
        for n in range(1, 9):
            await client.start(f"r{n}", "chat", {"prompt": "x"})
        await client.drop()
    async with asyncio.timeout(5):
        while True:
            page = (await asyncio.to_thread(daemon.get, "/permits")).json()
            status = (await asyncio.to_thread(daemon.get, "/status")).json()
            if not status["connections"] and not page["holders"] and not page["waiting"]:
                break
    assert sim.count("in_flight") == 0


async def test_a_restored_session_sends_the_same_call_twice_at_once(
    start_daemon: StartDaemon, sim: Simulator
) -> None:
    daemon, before = await _restarted(start_daemon, sim)
    async with joined(daemon.address, **resuming(before.ack)) as client:
        for _ in range(3):
            await client.start("r1", "chat", {"prompt": "x"})
        frames = [await client.result("r1") for _ in range(1)]
        assert (await client.chat("r1", "x")) == frames[0]
    assert sim.count("received") == 2


@pytest.mark.parametrize("detach", [True, False])
async def test_taking_a_session_over_keeps_its_calls(
    daemon: DaemonProcess, sim: Simulator, detach: bool
) -> None:
    """The old connection is closed; the calls go on, on the new one, whether they were detached or not."""
    sim.faults(all="chunks=20; size=200; pace=0.03")
    async with joined(daemon.address, features=FEATURES) as old:
        await old.accepted("r1", "chat", {"prompt": "x"}, stream=True, detach=detach)
        await old.op("stream", "r1")
        async with joined(daemon.address, **resuming(old.ack)) as new:
            assert (await old.closed())[0] == 4004
            result = await new.result("r1")
            pieces = [f["delta"] for f in new.frames if f["op"] == "stream"]
    assert "".join(pieces) == result["text"]
    assert sim.count("received") == 1


async def test_a_takeover_by_a_client_that_reads_nothing_yet(daemon: DaemonProcess, sim: Simulator) -> None:
    sim.faults(all="latency=0.5")
    async with joined(daemon.address, features=FEATURES) as old:
        for n in range(8):
            await old.accepted(f"r{n}", "chat", {"prompt": "x", "model": "kimi" if n < 5 else "glm"})
        async with raw(daemon.address, max_queue=1) as new:
            await new.send("hello", **resuming(old.ack))
            assert (await old.closed())[0] == 4004
            for n in range(8):
                assert (await new.result(f"r{n}"))["text"]
    assert sim.count("received") == 8


async def test_a_client_that_is_cut_off_without_a_word(start_daemon: StartDaemon, sim: Simulator) -> None:
    """A half-open connection: it answers no ping, so its call is aborted after the ping's timeout."""
    sim.faults(all="stall=30")
    daemon = start_daemon({**urls(sim.base_url), "EXAI_WS_PING_INTERVAL": "1", "EXAI_WS_PING_TIMEOUT": "1"})
    async with joined(daemon.address, options={"ping_interval": None}) as client:
        await client.accepted("r1", "chat", {"prompt": "x"})
        transport = client.socket.transport
        transport.pause_reading()
        assert await asyncio.to_thread(sim.reached, aborted=1, timeout_s=6)
        transport.abort()
