"""What the daemon says of itself: health, metrics, permits, leaks; and whether it is true."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from .conftest import Simulator, StartDaemon, urls
from .exai_process import DaemonProcess
from .ws_client import error_code, joined

IMPATIENT = {"EXAI_PROVIDER_ATTEMPTS": "1", "EXAI_BREAKER_FAILURES": "2", "EXAI_BREAKER_RESET_SECS": "60"}


def samples(daemon: DaemonProcess) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The metrics page: {(name, labels): value}."""
    page = daemon.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
    }


def value(found: dict[Any, float], name: str, **labels: str) -> float:
    """One sample of the page, by these labels among others."""
    fitting = [v for (n, have), v in found.items() if n == name and labels.items() <= have]
    assert len(fitting) == 1, (name, labels, fitting)
    return fitting[0]


async def test_the_metrics_tell_what_happened(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(all="latency=0.1; chunks=5; pace=0.05")
    daemon = start_daemon(urls(sim.base_url))
    async with joined(daemon.address) as client:
        await client.start("r1", "chat", {"prompt": "a"}, stream=True)
        kimi = (await client.result("r1"))["metadata"]
        glm = (await client.chat("r2", "b", model="glm"))["metadata"]
        await client.chat("r3", "", model="glm")
        sim.faults(all="stall=30")
        await client.accepted("busy", "chat", {"prompt": "x"})
        found = await asyncio.to_thread(samples, daemon)
    for provider, done in (("kimi", kimi), ("glm", glm)):
        assert value(found, "exai_provider_duration_seconds_count", provider=provider) == 1
        assert value(found, "exai_provider_duration_seconds_sum", provider=provider) >= 0.1
        for kind in ("prompt", "completion"):
            tokens = value(found, "exai_provider_tokens_total", provider=provider, kind=kind)
            assert tokens == done["usage"][f"{kind}_tokens"]
    first = value(found, "exai_provider_first_token_seconds_sum", provider="kimi")
    assert 0.1 <= first < value(found, "exai_provider_duration_seconds_sum", provider="kimi")
    assert value(found, "exai_calls_total", tool="chat", code="ok") == 2
    assert value(found, "exai_calls_total", tool="chat", code="EXEC_ERROR") == 1
    assert value(found, "exai_permits", limit="global", state="held") == 1
    assert value(found, "exai_permits", limit="kimi", state="held") == 1
    assert value(found, "exai_permits", limit="kimi", state="free") == 5
    assert value(found, "exai_queue_waiting") == 0
    assert value(found, "exai_sessions") == 1
    assert value(found, "exai_connections") == 1
    assert value(found, "exai_permits_leaked") == 0
    assert value(found, "exai_event_loop_lag_seconds") >= 0


async def test_the_permits_page_names_holders(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(all="stall=30")
    daemon = start_daemon({**urls(sim.base_url), "EXAI_WS_GLOBAL_MAX_INFLIGHT": "1"})
    async with joined(daemon.address) as client:
        await client.accepted("r1", "chat", {"prompt": "x"})
        await client.start("r2", "chat", {"prompt": "x"})
        await client.op("progress", "r2")
        page = (await asyncio.to_thread(daemon.get, "/permits")).json()
        told = (await client.call("r3", "status"))["structured"]
    (holder,) = page["holders"]
    assert (holder["tool"], holder["session"], holder["request"]) == ("chat", client.session_id, "r1")
    assert (holder["provider"], holder["leak"]) == ("kimi", None)
    assert holder["site"].rpartition(":")[2].isdigit()
    assert 0 <= holder["age_s"] < 30
    assert 0 < holder["deadline_in_s"] <= 240
    assert page["waiting"] == 1
    assert page["sessions"][client.session_id] == {"held": 1, "queued": 1}
    assert (page["leaked"], page["broken"]) == (0, [])
    assert told["permits"]["holders"][0]["request"] == "r1"


async def test_a_leaked_permit_is_named_and_not_repaired(start_daemon: StartDaemon, tmp_path: Path) -> None:
    until = tmp_path / "enough"
    daemon = start_daemon({"EXAI_WS_GLOBAL_MAX_INFLIGHT": "1", "EXAI_WS_QUEUE_WAIT_SECS": "0.3"})
    async with joined(daemon.address) as client:
        await client.accepted("r1", "stubborn", {"until": str(until)})
        left = time.monotonic()
        await client.drop()
    named = await asyncio.to_thread(daemon.event, "permit leaked", timeout_s=6)
    assert time.monotonic() - left < 5
    assert named["reason"] == "connection gone"
    assert (named["tool"], named["session"], named["request"]) == ("stubborn", client.session_id, "r1")
    assert await asyncio.to_thread(daemon.out.first, lambda line: line == "swallowed")
    async with joined(daemon.address) as other:
        assert error_code(await other.chat("r1", "room?")) == "OVER_CAPACITY"
        page = daemon.get("/permits").json()
        assert (page["leaked"], page["broken"]) == (1, [])
        assert page["limits"]["global"] == {"limit": 1, "held": 1, "free": 0}
        assert page["holders"][0]["leak"] == "connection gone"
        health = daemon.get("/health").json()
        assert health["status"] == "degraded"
        assert row(health, "permits")["detail"] == "stubborn: connection gone"
        found = samples(daemon)
        assert value(found, "exai_permit_leaks_total", reason="connection gone") == 1
        assert value(found, "exai_permits_leaked") == 1
        assert (await asyncio.to_thread(daemon.exai, "status")).code == 1
        until.touch()
        async with asyncio.timeout(10):
            while daemon.get("/permits").json()["holders"]:
                await other.health()
        assert (await other.chat("r2", "room now?"))["text"]
    assert daemon.get("/health").json()["status"] == "ok"
    assert len(daemon.events("permit leaked")) == 1


async def test_a_permit_past_its_deadline_is_named(start_daemon: StartDaemon, tmp_path: Path) -> None:
    times = {
        "EXAI_TOOL_TIMEOUT_SECS": "0.2",
        "EXAI_WS_CALL_TIMEOUT": "0.3",
        "EXAI_WS_INFLIGHT_TTL_SECS": "0.4",
    }
    until = tmp_path / "enough"
    daemon = start_daemon(times)
    async with joined(daemon.address) as client:
        await client.accepted("r1", "stubborn", {"until": str(until)})
        named = await asyncio.to_thread(daemon.event, "permit leaked", timeout_s=6)
        assert named["reason"] == "deadline passed"
        until.touch()
        assert error_code(await client.result("r1")) in ("TIMEOUT", "INTERRUPTED", None)


async def test_a_busy_permit_is_no_leak(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(all="latency=2.5")
    daemon = start_daemon({**urls(sim.base_url), "EXAI_WS_GLOBAL_MAX_INFLIGHT": "1"})
    async with joined(daemon.address) as client:
        assert (await client.chat("r1", "x"))["text"]
    assert daemon.events("permit leaked") == []
    assert daemon.get("/permits").json()["leaked"] == 0


def row(health: dict[str, Any], name: str) -> dict[str, Any]:
    """One dependency of the health page."""
    (found,) = [row for row in health["dependencies"] if row["name"] == name]
    return dict(found)


async def test_health_is_honest_about_providers(start_daemon: StartDaemon, sim: Simulator) -> None:
    daemon = start_daemon({**urls(sim.base_url), **IMPATIENT})
    health = daemon.get("/health").json()
    assert (health["status"], health["simulated"]) == ("ok", False)
    assert row(health, "kimi")["status"] == row(health, "glm")["status"] == "unknown"
    async with joined(daemon.address) as client:
        await client.chat("r0", "x", model="kimi")
        assert row(daemon.get("/health").json(), "kimi")["status"] == "ok"
        sim.faults(kimi="status=503")
        await client.chat("r1", "x", model="kimi")
        seen = daemon.get("/health").json()
        assert seen["status"] == row(seen, "kimi")["status"] == "degraded"
        assert "503" in row(seen, "kimi")["detail"]
        assert row(seen, "glm")["status"] == "unknown"
        await client.chat("r2", "x", model="kimi")
        seen = daemon.get("/health").json()
        assert (row(seen, "kimi")["status"], row(seen, "kimi")["breaker"]) == ("degraded", "open")
        assert daemon.get("/health/ready").status_code == 200
        refused = await client.chat("r3", "x", model="kimi")
        assert refused["error"]["kind"] == "BreakerOpen"
        sim.faults(glm="status=503")
        for n in range(4, 6):
            await client.chat(f"r{n}", "x", model="glm")
    answer = daemon.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "down")
    ready = daemon.get("/health/ready")
    why = "no usable provider: kimi: the breaker is open, glm: the breaker is open"
    assert (ready.status_code, ready.json()) == (503, {"ready": False, "reason": why})
    assert value(samples(daemon), "exai_provider_breaker_open", provider="kimi") == 1


async def test_a_retry_is_logged_in_plain_words(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(kimi="status=503; retry-after=0.01")
    daemon = start_daemon({**urls(sim.base_url), "EXAI_PROVIDER_ATTEMPTS": "2"})
    async with joined(daemon.address) as client:
        await client.chat("r1", "x", model="kimi")
    line = daemon.event("provider is asked again")
    assert (line["provider"], line["retry"], line["level"]) == ("kimi", 1, "warning")
    assert line["why"].startswith("kimi is unavailable (HTTP 503")
    assert 0 <= line["wait_s"] <= 5
    assert "stamina" not in daemon.stderr
    assert "ProviderUnavailable(" not in daemon.stderr


async def test_the_root_tells_a_browser_what_is_here(start_daemon: StartDaemon) -> None:
    token = "a-canary-of-a-token"
    daemon = start_daemon({"EXAI_WS_TOKEN": token})
    for path in ("/", "/ws"):
        page = daemon.get(path)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        named = re.findall(r"^(/[a-z/]+)  ", page.text, re.MULTILINE)
        assert {"/mcp", "/health/ready", "/metrics", "/status"} <= set(named)
        assert token not in page.text
        for other in named:
            assert daemon.get(other, {"Authorization": f"Bearer {token}"}).status_code != 404
    async with joined(daemon.address, token=token) as client:
        assert (await client.call("r1", "version"))["text"]


async def test_not_ready_while_every_key_is_refused(start_daemon: StartDaemon, sim: Simulator) -> None:
    daemon = start_daemon(urls(sim.base_url))
    async with joined(daemon.address) as client:
        sim.faults(all="status=401")
        await client.chat("r1", "x")
        ready = daemon.get("/health/ready")
        why = "no usable provider: kimi: the key was refused, glm: the key was refused"
        assert (ready.status_code, ready.json()) == (503, {"ready": False, "reason": why})
        told = await asyncio.to_thread(daemon.exai, "status")
        assert (told.code, f"a usable provider  {why.partition(': ')[2]}" in told.stdout) == (1, True)
        assert value(samples(daemon), "exai_ready") == 0
        sim.faults(all="")
        await client.chat("r2", "x")
    assert daemon.get("/health/ready").status_code == 200


async def test_a_store_that_cannot_be_written(start_daemon: StartDaemon, sim: Simulator) -> None:
    """Another process holds the database's write lock: health says so, and no call runs unrecorded."""
    daemon = start_daemon(urls(sim.base_url))
    async with joined(daemon.address) as client:
        (database,) = daemon.state_dir.glob("*.sqlite3")
        other = sqlite3.connect(database, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            looking = asyncio.create_task(asyncio.to_thread(daemon.get, "/health"))
            refused = await client.chat("r1", "x")
            assert await client.health(timeout_s=1)
            answer = await looking
        finally:
            other.close()
        assert error_code(refused) == "EXEC_ERROR"
        assert sim.count("received") == 0
        assert (answer.status_code, answer.json()["status"]) == (503, "down")
        assert row(answer.json(), "storage (sqlite)")["detail"]
        assert (await client.chat("r2", "x"))["text"]
    assert daemon.get("/health").json()["status"] == "ok"


async def test_without_a_key_the_simulator_is_named_everywhere(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    async with joined(daemon.address) as client:
        reply = await client.chat("r1", "who are you?")
        models = await client.call("r2", "listmodels")
        brief = await client.health()
    assert daemon.event("the simulator answers, not a model")["why"]
    assert reply["metadata"]["simulated"] is True
    assert "simulated" in reply["text"]
    assert all(model["simulated"] for model in models["structured"]["models"])
    assert brief["simulated"] is True
    health = daemon.get("/health").json()
    assert health["simulated"] is True
    assert row(health, "kimi")["simulated"] is True


async def test_with_keys_the_simulator_is_used_only_when_asked_for(
    start_daemon: StartDaemon, sim: Simulator
) -> None:
    daemon = start_daemon(urls(sim.base_url), args=["--port", "0", "--simulate"])
    async with joined(daemon.address) as client:
        assert (await client.chat("r1", "x"))["metadata"]["simulated"] is True
    assert "--simulate" in daemon.event("the simulator answers, not a model")["why"]
    assert sim.count("received") == 0


async def test_one_key_serves_one_provider(start_daemon: StartDaemon, sim: Simulator) -> None:
    settings = urls(sim.base_url)
    del settings["KIMI_API_KEY"]
    daemon = start_daemon(settings)
    async with joined(daemon.address) as client:
        models = (await client.call("r1", "listmodels"))["structured"]["models"]
        assert {model["provider"] for model in models} == {"glm"}
        assert (await client.chat("r2", "x"))["metadata"]["provider"] == "glm"
        named = await client.chat("r3", "x", model="kimi")
        assert "KIMI_API_KEY" in named["error"]["hint"]
    assert row(daemon.get("/health").json(), "kimi")["status"] == "unconfigured"


async def test_tools_of_others(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    async with joined(daemon.address) as client:
        await client.send("list_tools")
        names = {tool["name"] for tool in (await client.op("list_tools_res"))["tools"]}
        crashed = await client.call("r1", "crash_EXAI-WS")
        status = (await client.call("r2", "status"))["structured"]
    assert {"freeze", "stubborn", "crash", "chat"} <= names
    assert "absent" not in names
    assert any("absent" in problem for problem in status["tool_problems"])
    named = "absent, of e2e-tools: "
    assert daemon.event("tool left out")["tool"].startswith(named)
    told = await asyncio.to_thread(daemon.exai, "status")
    assert (told.code, f"  left out     tool {named}" in told.stdout) == (0, True)
    assert "ToolProblem" not in told.stdout + daemon.stderr
    assert error_code(crashed) == "EXEC_ERROR"
    assert "detail" not in str(crashed)
    assert "ZeroDivisionError" in str(daemon.event("tool failed"))
