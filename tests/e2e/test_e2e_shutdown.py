"""The end of the daemon: drained, cut, forced, and by ``exai stop``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from exai_ops.daemon.signals import ECHO_S

from .conftest import Simulator, StartDaemon, urls
from .exai_process import DaemonProcess
from .ws_client import Client, error_code, joined, raw, resuming

SLOW = "latency=0.8"


@contextlib.asynccontextmanager
async def _busy(daemon: DaemonProcess, sim: Simulator, *, calls: int = 2) -> AsyncIterator[Client]:
    """A client whose calls are all at the provider."""
    async with joined(daemon.address, features=["resume"]) as client:
        for n in range(calls):
            await client.accepted(f"r{n}", "chat", {"prompt": f"finish me {n}"})
        assert await asyncio.to_thread(sim.reached, in_flight=calls)
        yield client


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains(start_daemon: StartDaemon, sim: Simulator, number: int) -> None:
    sim.faults(all=SLOW)
    daemon = start_daemon(urls(sim.base_url))
    async with _busy(daemon, sim) as client:
        daemon.signal(number)
        assert (await asyncio.to_thread(daemon.event, "draining"))["calls"] == 2
        ready = await asyncio.to_thread(daemon.get, "/health/ready")
        assert (ready.status_code, ready.json()["reason"]) == (503, "draining")
        assert (await asyncio.to_thread(daemon.get, "/health/live")).status_code == 200
        assert (await asyncio.to_thread(daemon.get, "/health")).json()["status"] == "draining"
        refused = (await client.chat("late", "too late"))["error"]
        assert (refused["code"], refused["retry_after"]) == ("OVER_CAPACITY", 1)
        async with raw(daemon.address) as newcomer:
            assert (await newcomer.closed())[0] == 1012
        assert (await client.result("r0"))["text"].endswith('"finish me 0".')
        assert (await client.result("r1"))["text"].endswith('"finish me 1".')
        assert (await client.closed())[0] in (1001, 1012)
    assert await asyncio.to_thread(daemon.wait) == -number
    drained = daemon.event("drained")
    assert (drained["finished"], drained["cut"], drained["left"]) == (2, 0, 0)
    assert daemon.complaints() == []
    assert list(daemon.state_dir.glob("exai-*")) == []


async def test_a_queued_call_is_drained_too(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(all="latency=0.4")
    daemon = start_daemon({**urls(sim.base_url), "EXAI_WS_GLOBAL_MAX_INFLIGHT": "1"})
    async with _busy(daemon, sim, calls=1) as client:
        for n in range(1, 3):
            await client.start(f"r{n}", "chat", {"prompt": f"queued {n}"})
            await client.op("progress", f"r{n}")
        daemon.signal(signal.SIGTERM)
        for n in range(3):
            assert (await client.result(f"r{n}"))["text"]
    assert await asyncio.to_thread(daemon.wait) == -signal.SIGTERM


async def test_the_drain_deadline_cuts_and_says_so(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(kimi="stall=30")
    settings = {**urls(sim.base_url), "EXAI_DRAIN_SECS": "0.5"}
    daemon = start_daemon(settings)
    async with _busy(daemon, sim) as client:
        daemon.signal(signal.SIGTERM)
        for n in range(2):
            assert error_code(await client.result(f"r{n}")) == "INTERRUPTED"
    assert await asyncio.to_thread(daemon.wait) == -signal.SIGTERM
    assert await asyncio.to_thread(sim.reached, aborted=2)
    cut = {(line["tool"], line["session"], line["request"]) for line in daemon.events("cut")}
    assert cut == {("chat", client.session_id, "r0"), ("chat", client.session_id, "r1")}
    drained = daemon.event("drained")
    assert (drained["finished"], drained["cut"], drained["left"]) == (0, 2, 0)
    sim.reset()
    again = start_daemon(settings)
    async with joined(again.address, **resuming(client.ack)) as later:
        assert error_code(await later.chat("r0", "finish me 0")) == "INTERRUPTED"
    assert sim.count("received") == 0


async def test_a_second_signal_ends_at_once(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(kimi="stall=30")
    daemon = start_daemon(urls(sim.base_url))
    async with _busy(daemon, sim) as client:
        daemon.signal(signal.SIGTERM)
        await asyncio.to_thread(daemon.event, "draining")
        await asyncio.sleep(ECHO_S)
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        assert error_code(await client.result("r0")) == "INTERRUPTED"
        code = await asyncio.to_thread(daemon.wait)
        assert time.monotonic() - began < 1
    assert code in (-signal.SIGTERM, 128 + signal.SIGTERM)


async def test_the_same_signal_twice_at_once_is_one(start_daemon: StartDaemon, sim: Simulator) -> None:
    """As from make, which passes on what the daemon has received with it."""
    sim.faults(kimi="latency=1")
    daemon = start_daemon(urls(sim.base_url))
    async with _busy(daemon, sim) as client:
        daemon.signal(signal.SIGTERM)
        await asyncio.to_thread(daemon.event, "draining")
        daemon.signal(signal.SIGTERM)
        assert error_code(await client.result("r0")) is None
    assert await asyncio.to_thread(daemon.wait) == -signal.SIGTERM


@pytest.mark.parametrize("tool", ["freeze", "spin", "grind"])
async def test_a_second_signal_ends_a_blocked_daemon(start_daemon: StartDaemon, tool: str) -> None:
    """Blocked in a system call, in byte code, or in C code that never looks at signals."""
    daemon = start_daemon()
    async with joined(daemon.address) as client:
        await client.start("r1", tool, {"seconds": 30})
        await asyncio.to_thread(daemon.out.first, lambda line: line == "frozen")
        daemon.signal(signal.SIGTERM)
        began = time.monotonic()
        daemon.signal(signal.SIGINT)
        code = await asyncio.to_thread(daemon.wait, 5)
        took = time.monotonic() - began
        await client.drop()
    assert took < 1
    assert code in (-signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGINT)


async def test_a_tool_that_does_not_end_does_not_keep_the_daemon(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    daemon = start_daemon({"EXAI_DRAIN_SECS": "0.2"})
    async with joined(daemon.address) as client:
        await client.accepted("r1", "stubborn", {"until": str(tmp_path / "never")})
        daemon.signal(signal.SIGTERM)
        code = await asyncio.to_thread(daemon.wait, 10)
        with contextlib.suppress(ConnectionClosed):
            await client.closed()
    assert code in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert daemon.event("tools that do not end when told")["tools"] == ["stubborn"]


async def test_a_signal_while_starting(start_daemon: StartDaemon) -> None:
    """It ends by that signal, whichever step of its start it was at."""
    daemon = start_daemon()
    daemon.signal(signal.SIGTERM)
    assert await asyncio.to_thread(daemon.wait) in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert "Traceback" not in daemon.stderr


async def test_stop_drains_and_waits(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(all=SLOW)
    daemon = start_daemon(urls(sim.base_url))
    async with _busy(daemon, sim) as client:
        stopping = asyncio.create_task(asyncio.to_thread(daemon.exai, "stop"))
        assert (await client.result("r0"))["text"]
        assert (await client.result("r1"))["text"]
        stopped = await stopping
        assert await asyncio.to_thread(daemon.wait) == -signal.SIGTERM
    assert (stopped.code, stopped.stdout) == (0, f"stopped: pid {daemon.pid}, port {daemon.port}")


async def test_stop_waits_no_longer_than_told(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(all="stall=30")
    daemon = start_daemon(urls(sim.base_url))
    async with _busy(daemon, sim) as client:
        late = await asyncio.to_thread(daemon.exai, "stop", "--wait", "0.2")
        assert late.code == 124
        assert "--force" in late.stderr
        forced = await asyncio.to_thread(daemon.exai, "stop", "--force")
        assert forced.code == 0
        assert error_code(await client.result("r0")) == "INTERRUPTED"
    assert await asyncio.to_thread(daemon.wait) in (-signal.SIGTERM, 128 + signal.SIGTERM)


async def test_stop_force_at_once(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(all="stall=30")
    daemon = start_daemon(urls(sim.base_url))
    async with _busy(daemon, sim) as client:
        began = time.monotonic()
        forced = await asyncio.to_thread(daemon.exai, "stop", "--force")
        took = time.monotonic() - began
        assert forced.code == 0
        assert error_code(await client.result("r0")) == "INTERRUPTED"
    assert took < 5
    # Of two signals that wait, the kernel gives the one with the lower number first.
    first = (signal.SIGTERM, signal.SIGINT)
    assert await asyncio.to_thread(daemon.wait) in {*(-n for n in first), *(128 + n for n in first)}


async def test_status_tells_what_runs(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(all="stall=30")
    daemon = start_daemon(urls(sim.base_url))
    async with _busy(daemon, sim):
        text = await asyncio.to_thread(daemon.exai, "status")
        whole = await asyncio.to_thread(daemon.exai, "status", "--format", "json")
        unknown = await asyncio.to_thread(daemon.exai, "status", "--format", "yaml")
    assert text.code == 0
    assert f"pid {daemon.pid}" in text.stdout
    assert "in flight 2/24" in text.stdout
    assert "chat r0" in text.stdout
    page = json.loads(whole.stdout)
    assert (whole.code, page["health"]["pid"]) == (0, daemon.pid)
    holder = page["status"]["permits"]["holders"][0]
    assert holder.items() >= {"tool": "chat", "request": "r0", "provider": "kimi", "leak": None}.items()
    assert {"session", "site", "age_s", "deadline_in_s"} <= set(holder)
    assert unknown.code == 2
    assert "text or json" in unknown.stderr


async def test_status_does_not_let_a_request_drive_the_terminal(
    start_daemon: StartDaemon, sim: Simulator
) -> None:
    sim.faults(all="stall=30")
    daemon = start_daemon(urls(sim.base_url))
    async with joined(daemon.address) as client:
        await client.accepted("\x1b]0;x\x07\nholds", "chat", {"prompt": "x"})
        done = await asyncio.to_thread(daemon.exai, "status")
    assert "chat \\x1b]0;x\\x07\\nholds for" in done.stdout


async def test_status_of_a_daemon_that_is_not_well(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(all="status=503")
    daemon = start_daemon({**urls(sim.base_url), "EXAI_PROVIDER_ATTEMPTS": "1", "EXAI_BREAKER_FAILURES": "1"})
    async with joined(daemon.address) as client:
        assert error_code(await client.chat("r1", "x")) == "EXEC_ERROR"
    told = await asyncio.to_thread(daemon.exai, "status")
    assert told.code == 1
    assert told.stdout.startswith("down: ")


async def test_status_and_stop_without_a_daemon(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    assert daemon.port
    assert await asyncio.to_thread(daemon.stop) == -signal.SIGTERM
    for command in ("status", "stop"):
        told = await asyncio.to_thread(daemon.exai, command)
        assert told.code == 3
        assert "exai_ops serve`" in told.stderr
        assert told.stdout == ""


async def test_a_second_start_says_who_holds_the_port(start_daemon: StartDaemon, tmp_path: Path) -> None:
    first = start_daemon()
    args = ["--port", str(first.port)]
    for state in (first.state_dir, tmp_path / "elsewhere"):
        second = start_daemon({"EXAI_STATE_DIR": str(state)}, args=args)
        assert await asyncio.to_thread(second.wait) == 2
        assert f"pid {first.pid}" in second.stderr
    assert "held by an exai daemon" in start_and_wait(start_daemon, args)
    assert first.get("/health/ready").status_code == 200


async def test_a_start_on_the_port_of_another_program(start_daemon: StartDaemon, sim: Simulator) -> None:
    """The simulator is another program, too."""
    port = httpx.URL(sim.base_url).port
    stderr = start_and_wait(start_daemon, ["--port", str(port)])
    assert f"port {port} is held by pid " in stderr
    assert "EXAI_WS_PORT" in stderr
    assert "python" in stderr


def start_and_wait(start_daemon: StartDaemon, args: list[str]) -> str:
    """The complaint of a daemon that cannot start: two lines, exit 2."""
    process = start_daemon(args=args)
    assert process.wait() == 2
    assert [line.partition(":")[0] for line in process.err.lines] == ["exai", "hint"]
    return process.stderr


async def test_a_second_daemon_on_the_same_state_is_refused(start_daemon: StartDaemon) -> None:
    first = start_daemon()
    assert first.port
    second = start_daemon()
    code = await asyncio.to_thread(second.wait)
    assert code != 0
    assert "Traceback" not in second.stderr
    assert str(first.pid) in second.stderr
    assert "EXAI_STATE_DIR" in second.stderr
    assert first.get("/health/ready").status_code == 200


async def test_the_port_is_free_once_it_has_ended(start_daemon: StartDaemon) -> None:
    first = start_daemon()
    async with joined(first.address) as client:
        first.signal(signal.SIGTERM)
        assert (await client.closed())[0] in (1001, 1012)
    assert await asyncio.to_thread(first.wait) == -signal.SIGTERM
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", first.port)) != 0
    second = start_daemon(args=["--port", str(first.port)])
    async with joined(second.address) as client:
        assert (await client.call("r1", "version"))["text"]
