"""Crowds and bad neighbours: a flood, a full queue, a client that reads nothing, one that talks nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from exai_ops.providers.simulator import SimulatorOptions, parse_fault, running_simulator

from .conftest import Simulator, StartDaemon, upstream, urls
from .exai_process import DaemonProcess
from .ws_client import Client, error_code, joined

SERVICE_S = 0.5
KIMI_AT_ONCE = 6


async def test_a_flood_of_one_session_does_not_hold_up_another(start_daemon: StartDaemon) -> None:
    """By the order at the provider, and by the clock."""
    options = SimulatorOptions(remember=1000, fault=parse_fault(f"latency={SERVICE_S}"))
    async with running_simulator(options) as sim:
        daemon = start_daemon(upstream(sim))
        async with joined(daemon.address) as flood, joined(daemon.address) as other:
            for n in range(300):
                await flood.start(f"r{n}", "chat", {"prompt": "flood"})
            assert await sim.state.wait(timeout_s=10, completed=1)
            before = len(sim.state.seen)
            began = time.monotonic()
            assert (await other.chat("mine", "the other one"))["text"]
            took = time.monotonic() - began
        order = [json.loads(seen.body)["messages"][-1]["content"] for seen in sim.state.seen]
    # As many as were on their way to the provider, and those at work: two service times at the most.
    assert order.index("the other one") <= before + 2 * KIMI_AT_ONCE
    assert took < 2 * SERVICE_S + 0.25


async def test_a_full_queue_refuses_at_once_and_the_retry_runs(
    start_daemon: StartDaemon, sim: Simulator
) -> None:
    sim.faults(all="stall=30")
    daemon = start_daemon(
        {
            **urls(sim.base_url),
            "EXAI_WS_GLOBAL_MAX_INFLIGHT": "1",
            "EXAI_WS_QUEUE_MAX": "2",
            "EXAI_WS_RETRY_AFTER_SECS": "7",
        }
    )
    async with joined(daemon.address) as client:
        await client.accepted("r0", "chat", {"prompt": "x"})
        for n in (1, 2):
            await client.start(f"r{n}", "chat", {"prompt": "x"})
            await client.op("progress", f"r{n}")
        took = []
        for _ in range(5):
            began = time.monotonic()
            refused = await client.chat("r3", "x")
            took.append(time.monotonic() - began)
            assert error_code(refused) == "OVER_CAPACITY"
            assert refused["error"]["retry_after"] == 7
        assert sorted(took)[2] < 0.05
        sim.reset()
        for n in range(3):
            await client.send("cancel", request_id=f"r{n}")
            assert error_code(await client.result(f"r{n}")) == "CANCELLED"
        assert (await client.chat("r3", "x"))["text"], "the advised retry must run, not be a DUPLICATE"


async def test_a_wait_that_is_too_long_ends(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(all="stall=30")
    daemon = start_daemon(
        {**urls(sim.base_url), "EXAI_WS_SESSION_MAX_INFLIGHT": "1", "EXAI_WS_QUEUE_WAIT_SECS": "0.3"}
    )
    async with joined(daemon.address) as client:
        await client.accepted("r0", "chat", {"prompt": "x"})
        refused = await client.chat("r1", "x")
        assert error_code(refused) == "OVER_CAPACITY"
        page = daemon.get("/permits").json()
        assert (page["waiting"], page["limits"]["global"]["held"]) == (0, 1)
        async with joined(daemon.address) as other:
            assert (await other.accepted("r1", "chat", {"prompt": "x"}))["accepted"]


async def test_a_call_that_takes_too_long_times_out(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(all="stall=30")
    daemon = start_daemon(
        {**urls(sim.base_url), "EXAI_TOOL_TIMEOUT_SECS": "0.3", "EXAI_WS_CALL_TIMEOUT": "0.45"}
    )
    async with joined(daemon.address) as client:
        ack = await client.accepted("r1", "chat", {"prompt": "x", "model": "kimi"})
        assert ack["timeout"] == 0.45
        assert error_code(await client.result("r1")) == "TIMEOUT"
        assert await asyncio.to_thread(sim.reached, aborted=1)


async def test_a_client_that_reads_nothing_slows_nobody(daemon: DaemonProcess, sim: Simulator) -> None:
    sim.faults(all="size=1000000; chunks=100")
    async with joined(daemon.address, options={"max_queue": 1}) as deaf, joined(daemon.address) as other:
        for n in range(4):
            await deaf.start(f"r{n}", "chat", {"prompt": "x"}, stream=True)
        talking = asyncio.create_task(_talk(deaf))
        assert await asyncio.to_thread(sim.reached, completed=1)
        sim.faults(all="")
        for n in range(5):
            began = time.monotonic()
            await other.health(timeout_s=1)
            assert (await other.chat(f"r{n}", "served at once"))["text"]
            assert time.monotonic() - began < 1
        talking.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
            await talking
        await deaf.drop()
    await settled(daemon)


async def _talk(client: Client) -> None:
    """Ask for long answers without reading one."""
    for _ in range(20_000):
        await client.send("list_tools")


async def settled(daemon: DaemonProcess, *, timeout_s: float = 10) -> dict[str, Any]:
    """The ledger once nothing is held, nothing waits."""
    async with asyncio.timeout(timeout_s):
        while True:
            page: dict[str, Any] = (await asyncio.to_thread(daemon.get, "/permits")).json()
            if not page["holders"] and not page["waiting"]:
                return page


IDS = st.sampled_from(["a", "b", "c", ""]) | st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
OPS = st.sampled_from(
    ["hello", "list_tools", "call_tool", "health", "rotate_token", "cancel", "result", "quit"]
)
TOOLS = st.sampled_from(["chat", "chat_EXAI-WS", "version", "consult", "listmodels", "status"]) | st.text(
    max_size=10
)
ARGUMENTS = st.dictionaries(
    st.sampled_from(["prompt", "model", "temperature", "content", "x"]), JSON, max_size=3
)
FIELDS = {
    "request_id": IDS | JSON,
    "name": TOOLS | JSON,
    "arguments": ARGUMENTS | JSON,
    "stream": st.booleans() | JSON,
    "detach": st.booleans() | JSON,
    "old": JSON,
    "new": JSON,
    "token": JSON,
    "features": JSON,
}
CALLS = st.fixed_dictionaries(
    {"op": st.just("call_tool"), "request_id": IDS, "name": TOOLS, "arguments": ARGUMENTS}
)
OBJECTS = CALLS | st.fixed_dictionaries({"op": OPS | JSON}, optional=FIELDS)
MESSAGES = OBJECTS.map(json.dumps) | JSON.map(json.dumps) | st.text(max_size=40) | st.binary(max_size=40)
ANSWERS = {
    "progress", "call_tool_ack", "call_tool_res", "stream",
    "error", "health_res", "list_tools_res", "rotate_token_res",
}  # fmt: skip


async def test_nonsense_over_a_real_socket(daemon: DaemonProcess) -> None:
    """Hundreds of messages on one connection, each answered in words; then it serves a call."""
    loop = asyncio.get_running_loop()
    # Without pings: what they are made of is drawn from the random module, which Hypothesis minds.
    async with joined(daemon.address, options={"ping_interval": None}) as client:

        async def say(message: str | bytes) -> None:
            await client.socket.send(message)
            await client.health()

        @settings(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(MESSAGES)
        def fuzz(message: str | bytes) -> None:
            asyncio.run_coroutine_threadsafe(say(message), loop).result(20)

        await asyncio.to_thread(fuzz)
        assert (await client.chat("after all that", "still there?"))["text"]
        assert {frame["op"] for frame in client.frames[1:]} <= ANSWERS
        assert "Traceback" not in json.dumps(client.frames)
        page = await settled(daemon)
    assert page["broken"] == []
    assert page["leaked"] == 0
    assert {row["held"] for row in page["limits"].values()} == {0}


async def test_every_session_is_served_under_load(daemon: DaemonProcess, sim: Simulator) -> None:
    """Twenty clients, a hundred calls each way: each answer goes to who asked, and only once."""
    sim.faults(all="latency=0.001; jitter=0.01")

    async def one(number: int) -> None:
        async with joined(daemon.address) as client:
            for n in range(5):
                await client.start(f"r{n}", "chat", {"prompt": f"from {number}, {n}"}, stream=n % 2 == 0)
            for n in range(5):
                assert (await client.result(f"r{n}"))["text"].endswith(f'"from {number}, {n}".')
            results = [frame for frame in client.frames if frame["op"] == "call_tool_res"]
            assert len(results) == 5

    await asyncio.gather(*(one(number) for number in range(20)))
    assert sim.count("received") == 100
    await settled(daemon)


@pytest.mark.parametrize("times", [30])
async def test_clients_that_come_and_go_leave_nothing(
    daemon: DaemonProcess, sim: Simulator, times: int
) -> None:
    sim.faults(all="latency=0.05")
    for n in range(times):
        async with joined(daemon.address, options={"open_timeout": 10}) as client:
            await client.start("r1", "chat", {"prompt": "x"}, stream=n % 2 == 0)
            if n % 3:
                await client.op("progress", "r1")
            await client.drop()
    page = await settled(daemon)
    assert page["broken"] == []
    async with asyncio.timeout(10):
        while (await asyncio.to_thread(daemon.get, "/status")).json()["connections"]:
            pass
