"""What outlives the daemon: conversations, sessions, accepted calls; and what a SIGKILL leaves behind."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from exai_ops.providers.simulator import SimulatorOptions, SimulatorServer, parse_fault, running_simulator

from .conftest import StartDaemon, upstream
from .ws_client import Client, Frame, error_code, joined, resuming

FEATURES = ["stream", "resume"]
SESSIONS, CALLS = 3, 12


@pytest.fixture
async def own_sim() -> AsyncIterator[SimulatorServer]:
    async with running_simulator(SimulatorOptions(remember=10_000)) as server:
        yield server


async def test_a_conversation_goes_on_after_a_restart(
    start_daemon: StartDaemon, own_sim: SimulatorServer
) -> None:
    first = start_daemon(upstream(own_sim))
    async with joined(first.address, features=FEATURES) as client:
        said = await client.chat("r1", "remember the number 41")
    assert await asyncio.to_thread(first.stop) == -signal.SIGTERM
    second = start_daemon(upstream(own_sim))
    async with joined(second.address, **resuming(client.ack)) as again:
        assert again.session_id == client.session_id
        assert await again.chat("r1", "remember the number 41") == said
        conversation = said["metadata"]["continuation_id"]
        answer = await again.chat("r2", "which number?", continuation_id=conversation)
    assert 'You said first: "remember the number 41".' in answer["text"]
    assert len(own_sim.state.seen) == 2


async def test_a_killed_daemon_interrupts_what_it_had_accepted(
    start_daemon: StartDaemon, own_sim: SimulatorServer
) -> None:
    own_sim.state.set_fault("kimi", parse_fault("stall=30"))
    first = start_daemon(upstream(own_sim))
    async with joined(first.address, features=FEATURES) as client:
        await client.accepted("r1", "chat", {"prompt": "lost?"})
        assert await own_sim.state.wait(timeout_s=5, in_flight=1)
        first.signal(signal.SIGKILL)
        await client.closed()
    await asyncio.to_thread(first.wait)
    assert first.state_dir.joinpath(f"exai-{first.port}.json").exists()
    second = start_daemon(upstream(own_sim))
    assert second.event("calls interrupted by the end of an earlier daemon")["calls"] == 1
    async with joined(second.address, **resuming(client.ack)) as again:
        await again.send("result", request_id="r1")
        frame = await again.result("r1")
        assert error_code(frame) == "INTERRUPTED"
        assert frame["error"]["tool"] == "chat"
        assert frame["error"]["accepted_at"] > 0
        assert await again.chat("r1", "lost?") == frame
        assert error_code(await again.chat("r1", "another")) == "DUPLICATE"
    assert len(own_sim.state.seen) == 1


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_sigkill_under_load_then_resume(
    start_daemon: StartDaemon, own_sim: SimulatorServer, seed: int
) -> None:
    """Each accepted call gives its result or INTERRUPTED; nothing is asked of the provider twice."""
    chance = random.Random(seed)
    for provider in ("kimi", "glm"):
        own_sim.state.set_fault(provider, parse_fault("latency=0.01; jitter=0.15; chunks=5; pace=0.005"))
    first = start_daemon(upstream(own_sim))
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(joined(first.address, features=FEATURES)) for _ in range(SESSIONS)
        ]
        await asyncio.gather(*(_flood(client, chance) for client in clients))
        # Kill after a number of provider calls that the seed chose: in the middle of the others.
        assert await own_sim.state.wait(timeout_s=20, received=chance.randrange(3, SESSIONS * CALLS - 3))
        first.signal(signal.SIGKILL)
        for client in clients:
            await client.closed()
    await asyncio.to_thread(first.wait)
    second = start_daemon(upstream(own_sim))
    outcomes: Counter[str] = Counter()
    for client in clients:
        async with joined(second.address, **resuming(client.ack)) as again:
            outcomes += await _settle(client, again)
    assert outcomes["silence"] == 0
    assert outcomes.total() == SESSIONS * CALLS
    assert second.get("/permits").json()["limits"]["global"]["held"] == 0
    asked = Counter(json.loads(seen.body)["messages"][-1]["content"] for seen in own_sim.state.seen)
    assert {prompt: n for prompt, n in asked.items() if n > 1} == {}


async def _flood(client: Client, chance: random.Random) -> None:
    for n in range(CALLS):
        model = chance.choice([None, "kimi", "glm"])
        arguments = _arguments(client, n) | ({"model": model} if model else {})
        await client.start(f"r{n}", "chat", arguments, stream=n % 2 == 0)


def _arguments(client: Client, n: int) -> Frame:
    return {"prompt": f"{client.session_id} {n}"}


async def _settle(before: Client, again: Client) -> Counter[str]:
    """What became of each call of a session, by what the first connection knew and the second learned."""
    outcomes: Counter[str] = Counter()
    results = {f["request_id"]: f for f in before.frames if f["op"] == "call_tool_res"}
    acked = {f["request_id"] for f in before.frames if f["op"] == "call_tool_ack"}
    for request_id in (f"r{n}" for n in range(CALLS)):
        await again.send("result", request_id=request_id)
        known = await again.result(request_id)
        if request_id in results:
            assert known == results[request_id]
        elif request_id in acked:
            assert error_code(known) in (None, "INTERRUPTED"), known
        else:
            assert error_code(known) in (None, "INTERRUPTED", "NOT_FOUND"), known
        outcomes[error_code(known) or "result"] += 1
    return outcomes


async def test_a_resent_call_does_not_run_again_after_the_kill(
    start_daemon: StartDaemon, own_sim: SimulatorServer
) -> None:
    """A client that knows nothing of ``result`` sends its call again, as the old ones do."""
    own_sim.state.set_fault("kimi", parse_fault("latency=0.1; jitter=0.3"))
    first = start_daemon(upstream(own_sim))
    async with joined(first.address, features=FEATURES) as client:
        for n in range(CALLS):
            await client.start(f"r{n}", "chat", _arguments(client, n))
        for _ in range(3):
            await client.op("call_tool_res")
        first.signal(signal.SIGKILL)
        await client.closed()
    await asyncio.to_thread(first.wait)
    second = start_daemon(upstream(own_sim))
    acked = {f["request_id"] for f in client.frames if f["op"] == "call_tool_ack"}
    async with joined(second.address, **resuming(client.ack)) as again:
        frames = [await again.call(f"r{n}", "chat", _arguments(client, n)) for n in range(CALLS)]
    assert sum("text" in frame for frame in frames) >= 3
    for frame in frames:
        assert error_code(frame) in (None, "INTERRUPTED")
    interrupted = {frame["request_id"] for frame in frames if error_code(frame) == "INTERRUPTED"}
    assert interrupted
    assert acked
    asked = Counter(json.loads(seen.body)["messages"][-1]["content"] for seen in own_sim.state.seen)
    assert max(asked.values()) == 1


async def test_a_stale_state_file_does_not_block_a_start(start_daemon: StartDaemon) -> None:
    first = start_daemon()
    port = first.port
    first.signal(signal.SIGKILL)
    await asyncio.to_thread(first.wait)
    stale = first.state_dir / f"exai-{port}.json"
    assert json.loads(stale.read_text())["pid"] == first.pid
    second = start_daemon(args=["--port", str(port)])
    assert second.port == port
    assert json.loads(stale.read_text())["pid"] == second.pid
    assert await asyncio.to_thread(second.stop) == -signal.SIGTERM
    assert not stale.exists()
    assert not stale.with_suffix(".pid").exists()
