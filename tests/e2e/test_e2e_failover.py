"""One provider is down: who answers, and what is said of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from .conftest import Simulator, StartDaemon, urls
from .exai_process import DaemonProcess
from .ws_client import error_code, joined

QUICK = {"EXAI_PROVIDER_ATTEMPTS": "1", "EXAI_CONNECT_TIMEOUT_SECS": "2"}


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses: bound, so that nobody else gets it, and not listening."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.mark.parametrize(
    "fault", ["status=503", "reset", "malformed", "cut=0", "code=exceeded_current_quota_error"]
)
@pytest.mark.parametrize("stream", [True, False])
async def test_the_other_provider_answers(
    daemon: DaemonProcess, sim: Simulator, fault: str, stream: bool
) -> None:
    sim.faults(kimi=fault)
    async with joined(daemon.address) as client:
        await client.start("r1", "chat", {"prompt": "anybody"}, stream=stream)
        result = await client.result("r1")
    assert result["metadata"]["provider"] == "glm", result
    assert result["metadata"]["failed_over_from"] == "kimi"
    pieces = [frame["delta"] for frame in client.frames if frame["op"] == "stream"]
    assert "".join(pieces) == (result["text"] if stream else "")
    assert (sim.count("received", "kimi"), sim.count("received", "glm")) == (1, 1)


@pytest.mark.parametrize("model", ["kimi", "kimi-latest"])
async def test_a_named_model_is_not_replaced(daemon: DaemonProcess, sim: Simulator, model: str) -> None:
    sim.faults(kimi="status=503")
    async with joined(daemon.address) as client:
        result = await client.chat("r1", "you alone", model=model)
    assert error_code(result) == "EXEC_ERROR"
    assert (result["error"]["provider"], result["error"]["status"]) == ("kimi", 503)
    assert sim.count("received", "glm") == 0


async def test_a_provider_that_refuses_connections(
    start_daemon: StartDaemon, sim: Simulator, closed_port: int
) -> None:
    settings = {**urls(sim.base_url), **QUICK, "KIMI_API_URL": f"http://127.0.0.1:{closed_port}/v1"}
    daemon = start_daemon({**settings, "EXAI_BREAKER_FAILURES": "2"})
    async with joined(daemon.address) as client:
        for n in range(4):
            metadata = (await client.chat(f"r{n}", "x"))["metadata"]
            assert (metadata["provider"], metadata["failed_over_from"]) == ("glm", "kimi")
        named = await client.chat("r9", "x", model="kimi")
        assert named["error"]["kind"] == "BreakerOpen"
    page = daemon.get("/permits").json()
    assert {row["held"] for row in page["limits"].values()} == {0}
    assert page["broken"] == []


async def test_a_stream_that_broke_is_not_begun_anew(daemon: DaemonProcess, sim: Simulator) -> None:
    """Once a piece is with the client there is neither a retry nor another provider."""
    sim.faults(kimi="chunks=10; size=100; cut=3; pace=0.02")
    async with joined(daemon.address) as client:
        await client.start("r1", "chat", {"prompt": "x"}, stream=True)
        result = await client.result("r1")
    assert error_code(result) == "EXEC_ERROR"
    pieces = [frame["seq"] for frame in client.frames if frame["op"] == "stream"]
    assert pieces == [0, 1, 2]
    assert sim.count("received") == 1


async def test_both_down(daemon: DaemonProcess, sim: Simulator) -> None:
    sim.faults(all="status=503")
    async with joined(daemon.address) as client:
        result = await client.chat("r1", "x")
    assert error_code(result) == "EXEC_ERROR"
    assert result["error"]["provider"] == "kimi"
    assert "glm" in result["error"]["hint"]


async def test_a_retry_heals_without_failover(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(kimi="status=503; first=2")
    daemon = start_daemon(urls(sim.base_url))
    async with joined(daemon.address) as client:
        metadata = (await client.chat("r1", "x"))["metadata"]
    assert metadata["provider"] == "kimi"
    assert "failed_over_from" not in metadata
    assert (sim.count("received", "kimi"), sim.count("received", "glm")) == (3, 0)


@pytest.mark.parametrize(
    ("provider", "fault", "requests"),
    [
        ("kimi", "status=400", 1),
        ("kimi", "status=401", 1),
        ("kimi", "status=403", 1),
        ("glm", "code=1113", 1),
        ("glm", "code=1211", 1),
        ("glm", "code=1261", 1),
        ("glm", "code=1301", 1),
        ("glm", "code=1308", 1),
        ("glm", "code=1302", 2),
        ("kimi", "status=429; retry-after=0.01", 2),
        ("kimi", "status=500", 2),
    ],
)
async def test_what_is_asked_again(
    sim: Simulator, retrying: DaemonProcess, provider: str, fault: str, requests: int
) -> None:
    sim.faults(**{provider: fault})
    async with joined(retrying.address) as client:
        result = await client.chat("r1", "x", model=provider)
    assert error_code(result) == "EXEC_ERROR"
    assert sim.count("received", provider) == requests


@pytest.fixture(scope="module")
def retrying(sim_process: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    settings = {
        **urls(sim_process.base_url), "EXAI_PROVIDER_ATTEMPTS": "2", "EXAI_BREAKER_FAILURES": "1000"
    }  # fmt: skip
    process = DaemonProcess(tmp_path_factory.mktemp("retrying"), settings)
    try:
        yield process
    finally:
        process.reap()


async def test_a_failover_waits_for_the_other_providers_permit(
    start_daemon: StartDaemon, sim: Simulator
) -> None:
    sim.faults(kimi="status=503", glm="stall=30")
    daemon = start_daemon({**urls(sim.base_url), **QUICK, "EXAI_WS_GLM_MAX_INFLIGHT": "1"})
    async with joined(daemon.address) as client:
        await client.accepted("holder", "chat", {"prompt": "x", "model": "glm"})
        await client.accepted("r1", "chat", {"prompt": "x"})
        assert await asyncio.to_thread(sim.reached, faulted=1)
        page = (await asyncio.to_thread(daemon.get, "/permits")).json()
        assert page["limits"]["glm"] == {"limit": 1, "held": 1, "free": 0}
        assert sim.count("received", "glm") == 1
        sim.faults(glm="")
        await client.send("cancel", request_id="holder")
        assert (await client.result("r1"))["metadata"]["failed_over_from"] == "kimi"
