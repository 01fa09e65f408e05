"""Calls from frame to result: order, streams, concurrency, duplicates, replays, capacity."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from exai_ops.daemon import protocol
from exai_ops.daemon.protocol import CallTool
from exai_ops.providers.simulator import parse_fault

from .daemon_parts import Bench, House, Line, open_house, turns

Opened = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def opened(tmp_path: Path, bench: Bench) -> Opened:
    return lambda **fields: open_house(tmp_path, bench.tools(), **fields)


@pytest.fixture
async def house(opened: Opened) -> AsyncIterator[House]:
    async with opened() as made:
        yield made


# --- the order of frames -------------------------------------------------------------------------


async def test_an_old_client_sees_progress_ack_result(house: House) -> None:
    house.call("chat", prompt="hello")
    text = await house.line.text()
    assert 'You now say: "hello"' in text
    progress, ack, result = house.line.of("r1")
    assert progress["op"] == "progress"
    assert (progress["name"], progress["note"]) == ("chat", "accepted, awaiting provider/session capacity")
    assert abs(progress["t"] - house.daemon.started_at) < 60
    assert ack == {
        "op": "call_tool_ack",
        "request_id": "r1",
        "accepted": True,
        "timeout": 180,
        "name": "chat",
    }
    assert result["metadata"]["simulated"] is True
    assert result["metadata"]["provider"] == "kimi"
    assert result["metadata"]["continuation_id"]
    assert {f["op"] for f in house.line.frames} <= {"hello_ack", "progress", "call_tool_ack", "call_tool_res"}


@pytest.mark.parametrize("suffix", ["", "_EXAI-WS", "-EXAI-WS", "_EXAI_WS", "-EXAI_WS"])
async def test_the_suffixes_of_old_clients(house: House, suffix: str) -> None:
    house.call(f"version{suffix}")
    assert "exai" in await house.line.text()
    assert house.line.ops() == ["progress", "call_tool_ack", "call_tool_res"]


async def test_a_stream_comes_whole_before_the_result(house: House) -> None:
    house.call("chat", prompt="tell me much", stream=True)
    text = await house.line.text()
    deltas = house.line.deltas()
    assert len(deltas) > 3
    assert "".join(deltas) == text
    ops = house.line.ops()
    assert ops == ["progress", "call_tool_ack", *["stream"] * len(deltas), "call_tool_res"]


async def test_what_a_tool_emits_is_streamed(house: House) -> None:
    house.call("say", pieces=["a", "", "b", "é"], stream=True)
    assert await house.line.text() == "abé"
    assert "".join(house.line.deltas()) == "abé"
    assert (await house.line.result())["structured"] == {"n": 4}
    assert (await house.line.result())["metadata"] == {"kind": "said"}


async def test_no_stream_for_who_did_not_ask(house: House) -> None:
    house.call("say", pieces=["a", "b"])
    assert await house.line.text() == "ab"
    assert house.line.deltas() == []


async def test_a_conversation_goes_on(house: House) -> None:
    house.call("chat", prompt="my name is Ada")
    continuation = (await house.line.result())["metadata"]["continuation_id"]
    house.call("chat", "r2", prompt="who am I?", continuation_id=continuation)
    assert 'You said first: "my name is Ada"' in await house.line.text("r2")


# --- concurrency ---------------------------------------------------------------------------------


async def test_calls_of_one_connection_run_together_up_to_the_limit(opened: Opened, bench: Bench) -> None:
    async with opened(session_max_inflight=3, global_max_inflight=10) as house:
        for i in range(5):
            house.call("wait", f"r{i}")
        await house.line.until(lambda: sum(f["op"] == "call_tool_ack" for f in house.line.frames) == 3)
        await turns()
        assert (len(bench.started), house.ledger.held, house.ledger.waiting) == (3, 3, 2)
        other = Line()
        session = await house.join(other)
        house.call("wait", "x", session=session, line=other)
        await other.until(lambda: "call_tool_ack" in other.ops("x"))
        bench.go.set()
        for i in range(5):
            assert await house.line.text(f"r{i}") == "done"
        await other.text("x")
    assert bench.most_at_once == 4


async def test_a_queued_call_is_told_so_at_once(opened: Opened, bench: Bench) -> None:
    async with opened(global_max_inflight=1) as house:
        house.call("wait")
        house.call("wait", "r2")
        await house.line.until(lambda: house.line.ops("r2") == ["progress"])
        await turns()
        assert house.line.ops("r2") == ["progress"]
        bench.go.set()
        await house.line.text("r2")
        assert house.line.ops("r2") == ["progress", "call_tool_ack", "call_tool_res"]


async def test_tools_without_a_permit_answer_when_all_are_held(opened: Opened, bench: Bench) -> None:
    async with opened(global_max_inflight=1, queue_max=0) as house:
        house.call("wait")
        await house.line.until(lambda: bench.started)
        for name in ("quick", "status", "version", "listmodels"):
            house.call(name, name)
            assert await house.line.text(name)
        status = (await house.line.result("status"))["structured"]
        assert status["permits"]["limits"]["global"] == {"limit": 1, "held": 1, "free": 0}
        (holder,) = status["permits"]["holders"]
        assert (holder["tool"], holder["request"], holder["leak"]) == ("wait", "r1", None)
        bench.go.set()


# --- duplicates and replays ----------------------------------------------------------------------


async def test_a_duplicate_in_flight_gets_all_frames(house: House, bench: Bench) -> None:
    house.call("say", pieces=["a", "b"], then_wait=True, stream=True)
    await house.line.until(lambda: len(house.line.deltas()) == 2)
    second = Line()
    house.call("say", pieces=["a", "b"], then_wait=True, stream=True, line=second)
    await second.until(lambda: len(second.deltas()) == 2)
    bench.go.set()
    assert await second.text() == await house.line.text() == "ab"
    assert second.ops() == ["progress", "call_tool_ack", "stream", "stream", "call_tool_res"]
    assert bench.started == ["r1"]


async def test_a_duplicate_on_the_same_connection_runs_once(house: House, bench: Bench) -> None:
    for _ in range(3):
        house.call("wait", text="x")
    await house.line.until(lambda: bench.started)
    bench.go.set()
    assert await house.line.text() == "x"
    await house.idle()
    assert bench.started == ["r1"]
    assert len(house.line.results()) == 1


async def test_a_duplicate_that_attaches_at_the_end_gets_one_result(house: House, bench: Bench) -> None:
    """Attaching while the frames go out: nothing doubled, nothing after the result."""
    house.call("say", pieces=["a", "b"], then_wait=True, stream=True)
    await house.line.until(lambda: len(house.line.deltas()) == 2)
    slow = Line()
    slow.gate.clear()
    house.call("say", pieces=["a", "b"], then_wait=True, stream=True, line=slow)
    await slow.until(lambda: slow.frames)
    bench.go.set()
    await house.line.text()
    await turns()
    slow.gate.set()
    assert await slow.text() == "ab"
    await turns()
    ops = slow.ops()
    assert ops[-1] == "call_tool_res"
    assert [op for op in ops if op != "progress"] == ["call_tool_ack", "stream", "stream", "call_tool_res"]


async def test_a_finished_call_is_replayed_within_its_time(
    opened: Opened, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(result_ttl_s=600.0) as house:
        house.call("chat", prompt="once")
        first = await house.line.result()
        await house.idle()
        house.call("chat", prompt="once")
        assert await house.line.result(nth=2) == first
        house.fetch()
        assert await house.line.result(nth=3) == first
        assert house.sim.state.total("received") == 1
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 601.0)
        house.fetch()
        assert (await house.line.error(nth=4))["code"] == "NOT_FOUND"
        house.call("chat", prompt="once")
        assert (await house.line.result(nth=5))["metadata"] != first["metadata"]
        assert house.sim.state.total("received") == 2
        monkeypatch.undo()


@pytest.mark.parametrize("finished", [False, True])
async def test_the_same_id_for_another_call_is_a_duplicate(
    house: House, bench: Bench, finished: bool
) -> None:
    house.call("wait", text="a")
    await house.line.until(lambda: bench.started)
    if finished:
        bench.go.set()
        await house.idle()
    seen = len(house.line.results())
    house.call("wait", text="b")
    error = await house.line.error(nth=seen + 1)
    assert (error["code"], error["original_request_id"]) == ("DUPLICATE", "r1")
    house.call("say", pieces=[])
    assert (await house.line.error(nth=seen + 2))["code"] == "DUPLICATE"
    bench.go.set()
    await house.idle()
    assert bench.started == ["r1"]


async def test_the_order_of_the_arguments_does_not_matter(house: House) -> None:
    message = CallTool("r1", "say", {"pieces": ["a"], "then_wait": False})
    house.dispatcher.submit(house.session, house.line, message)
    await house.line.text()
    await house.idle()
    again = CallTool("r1", "say", {"then_wait": False, "pieces": ["a"]})
    house.dispatcher.submit(house.session, house.line, again)
    assert await house.line.text(nth=2) == "a"


async def test_no_session_is_given_anothers_answer(house: House, bench: Bench) -> None:
    """Defect 4: the old daemon cached by name and arguments across sessions."""
    other = Line()
    session = await house.join(other)
    house.call("wait", text="mine")
    await house.line.until(lambda: bench.started)
    house.call("wait", text="theirs", session=session, line=other)
    await other.until(lambda: len(bench.started) == 2)
    bench.go.set()
    assert (await house.line.text(), await other.text()) == ("mine", "theirs")
    await house.idle()
    third = Line()
    stranger = await house.join(third)
    house.fetch(session=stranger, line=third)
    assert (await third.error())["code"] == "NOT_FOUND"
    house.call("wait", text="mine", session=stranger, line=third)
    await third.until(lambda: len(bench.started) == 3)
    await third.text(nth=2)


# --- capacity ------------------------------------------------------------------------------------


async def test_over_capacity_then_the_advised_retry_runs(opened: Opened, bench: Bench) -> None:
    """Defects 3 and 8: a DUPLICATE for the advised retry, an answer without request_id."""
    async with opened(global_max_inflight=1, queue_max=0, retry_after_s=1.0) as house:
        house.call("wait")
        await house.line.until(lambda: bench.started)
        house.call("wait", "r2")
        await asyncio.wait_for(house.line.result("r2"), 0.5)
        error = await house.line.error("r2")
        assert (error["code"], error["retry_after"]) == ("OVER_CAPACITY", 1)
        assert "global 1/1" in error["message"]
        house.fetch("r2")
        assert (await house.line.error("r2", nth=2))["code"] == "NOT_FOUND"
        bench.go.set()
        await house.idle()
        house.call("wait", "r2")
        assert await house.line.text("r2", nth=3) == "done"


async def test_a_wait_that_is_over_is_over_capacity(opened: Opened, bench: Bench) -> None:
    async with opened(global_max_inflight=1, queue_wait_s=0.02) as house:
        house.call("wait")
        await house.line.until(lambda: bench.started)
        house.call("chat", "r2", prompt="x")
        error = await house.line.error("r2")
        assert error["code"] == "OVER_CAPACITY"
        assert house.sim.state.total("received") == 0
        bench.go.set()


async def test_a_draining_daemon_takes_no_call_and_still_answers(house: House, bench: Bench) -> None:
    house.call("quick", "before")
    await house.line.text("before")
    house.call("wait")
    await house.line.until(lambda: bench.started)
    house.dispatcher.draining = True
    house.call("quick", "new")
    assert (await house.line.error("new"))["code"] == "OVER_CAPACITY"
    house.call("quick", "before")
    assert await house.line.text("before", nth=2) == "quick"
    house.call("wait")
    house.fetch()
    assert (await house.line.error())["code"] == "RUNNING"
    bench.go.set()
    assert await house.line.text(nth=2) == "done"


async def test_failover_changes_the_provider_permit(opened: Opened) -> None:
    async with opened(provider_attempts=1) as house:
        house.sim.state.set_fault("kimi", parse_fault("status=503"))
        house.sim.state.set_fault("glm", parse_fault("latency=30"))
        house.call("chat", prompt="x")
        await house.upstream(received=2)
        usage = house.ledger.usage()
        assert (usage["kimi"]["held"], usage["glm"]["held"], usage["global"]["held"]) == (0, 1, 1)
        house.cancel()
        await house.line.result()


async def test_failover_is_said(opened: Opened) -> None:
    async with opened(provider_attempts=1) as house:
        house.sim.state.set_fault("kimi", parse_fault("status=503"))
        house.call("chat", prompt="x")
        metadata = (await house.line.result())["metadata"]
        assert (metadata["provider"], metadata["failed_over_from"]) == ("glm", "kimi")


async def test_failover_without_a_permit_there_may_be_retried(opened: Opened, bench: Bench) -> None:
    async with opened(provider_attempts=1, glm_max_inflight=1, queue_wait_s=0.05) as house:
        house.sim.state.set_fault("glm", parse_fault("latency=30"))
        house.call("chat", prompt="x", model="glm-4.6")
        await house.upstream(received=1)
        house.sim.state.set_fault("kimi", parse_fault("status=503"))
        house.call("chat", "r2", prompt="x")
        assert (await house.line.error("r2"))["code"] == "OVER_CAPACITY"
        house.sim.state.reset_faults()
        house.call("chat", "r2", prompt="x")
        assert await house.line.text("r2", nth=2)
        house.cancel()
        await house.line.result()


# --- the semantic cache --------------------------------------------------------------------------


async def test_no_semantic_cache_unless_asked_for(house: House) -> None:
    for request_id in ("r1", "r2"):
        house.call("chat", request_id, prompt="same")
        await house.line.text(request_id)
    assert house.sim.state.total("received") == 2


async def test_the_semantic_cache_is_of_one_session(opened: Opened) -> None:
    async with opened(ws_semantic_cache=True) as house:
        house.call("chat", prompt="same")
        house.call("chat", "r2", prompt="same")
        first, second = await house.line.text(), await house.line.text("r2")
        assert first == second
        assert (await house.line.result("r2"))["metadata"]["cached_from"] == "r1"
        assert house.sim.state.total("received") == 1
        other = Line()
        session = await house.join(other)
        house.call("chat", prompt="same", session=session, line=other)
        assert "cached_from" not in (await other.result())["metadata"]
        house.call("chat", "r3", prompt="different")
        await house.line.text("r3")
        assert house.sim.state.total("received") == 3


async def test_a_tool_may_be_left_out_of_the_semantic_cache(opened: Opened, bench: Bench) -> None:
    async with opened(ws_semantic_cache=True, ws_no_coalesce_tools=("say",)) as house:
        for request_id in ("r1", "r2"):
            house.call("say", request_id, pieces=["a"])
            await house.line.text(request_id)
    assert bench.started == ["r1", "r2"]


async def test_a_failure_is_not_cached(opened: Opened) -> None:
    async with opened(ws_semantic_cache=True) as house:
        house.call("fail", how="tool error")
        house.call("fail", "r2", how="tool error")
        assert (await house.line.error("r2"))["code"] == "EXEC_ERROR"
        house.call("chat", "r3", prompt="x", model="kimi-latest")
        house.cancel("r3")
        house.call("chat", "r4", prompt="x", model="kimi-latest")
        assert await house.line.text("r4")


async def test_the_cache_answers_for_the_arguments_that_were_given(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id that is used again after its time stands for another answer."""
    async with opened(ws_semantic_cache=True, result_ttl_s=600.0) as house:
        house.call("say", pieces=["old"])
        await house.line.text()
        await house.idle()
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 601.0)
        house.call("say", pieces=["new"])
        assert await house.line.text(nth=2) == "new"
        house.call("say", "r2", pieces=["old"])
        assert await house.line.text("r2") == "old"
        monkeypatch.undo()


# --- what is said of it --------------------------------------------------------------------------


async def test_health_has_what_old_clients_read(house: House) -> None:
    brief = house.daemon.brief()
    assert {"t", "uptime_human", "sessions", "global_capacity", "tool_count"} <= brief.keys()
    assert (brief["sessions"], brief["global_capacity"], brief["simulated"]) == (1, 24, True)


async def test_each_call_leaves_one_event_and_its_metrics(house: House) -> None:
    house.call("chat", prompt="a secret of the user")
    await house.line.result()
    await house.idle()
    sent = [
        e for e in house.daemon.monitor.recent() if e.connection_type == "websocket" and e.direction == "send"
    ]
    assert [event.function_name for event in sent] == ["chat"]
    assert "a secret of the user" not in repr(house.daemon.monitor.recent())
    exposition = house.daemon.metrics.exposition().decode()
    assert 'exai_calls_total{code="ok",tool="chat"} 1.0' in exposition
    assert 'exai_provider_tokens_total{kind="completion",provider="kimi"}' in exposition


async def test_listing_names_every_tool(house: House) -> None:
    frame: dict[str, Any] = json.loads(house.daemon.tools_frame)
    assert frame["op"] == "list_tools_res"
    assert {"chat", "consult", "listmodels", "version", "status"} <= {t["name"] for t in frame["tools"]}
    assert all(t.keys() == {"name", "description", "inputSchema"} for t in frame["tools"])
    assert protocol.MAX_ID_CHARS == 256


async def test_waiting_calls_are_bounded_in_bytes(tmp_path: Path) -> None:
    bench = Bench()
    async with open_house(tmp_path, bench.tools(), global_max_inflight=1, queue_max_bytes=1000) as house:
        house.call("wait", text="x" * 5000)  # at work, so that its size does not matter
        await house.line.until(lambda: bench.started)
        house.call("wait", "r2", text="x" * 900)
        await house.line.until(lambda: house.ledger.waiting)
        assert 900 < house.daemon.permits()["waiting_bytes"] < 1000
        house.call("wait", "r3", text="x" * 100)
        refused = await house.line.error("r3")
        assert (refused["code"], refused["retry_after"]) == ("OVER_CAPACITY", 1)
        assert "1000 bytes" in refused["message"]
        bench.go.set()
        await house.line.text("r2")
        assert house.daemon.permits()["waiting_bytes"] == 0
