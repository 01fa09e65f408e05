"""How calls end otherwise: cancelled, left, out of time, broken, refused by the store."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from exai_ops.daemon import protocol
from exai_ops.daemon.call import Call
from exai_ops.daemon.protocol import CallTool
from exai_ops.providers.simulator import parse_fault
from exai_ops.storage.contract import SessionRecord

from .daemon_parts import Bench, House, Line, open_house, spoilt, turns

Opened = Callable[..., AbstractAsyncContextManager[House]]
KIMI = "kimi-latest"


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


@pytest.fixture
async def store(tmp_path: Path) -> Any:
    return spoilt(tmp_path)


@pytest.fixture
async def shaky(opened: Opened, store: Any) -> AsyncIterator[House]:
    """A house whose store the test can spoil."""
    async with opened(storage=store) as made:
        yield made


async def test_an_ended_call_is_not_left_to_the_collector(house: House) -> None:
    """The daemon's collector runs so seldom that what waits for it counts as leaked."""
    gc.collect()
    gc.disable()
    try:
        house.call("chat", "good", prompt="x" * 100_000, stream=True)
        house.call("chat", "too-long", prompt="x" * 4_000_000)
        house.call("version", "plain")
        for request_id in ("good", "too-long", "plain"):
            await house.line.result(request_id)
        await house.idle()
        await turns()
        left = [found for found in gc.get_objects() if isinstance(found, Call)]
        assert not [call.request_id for call in left if call.session_id == house.session.id]
    finally:
        gc.enable()


async def only_result(house: House, request_id: str = "r1") -> Any:
    """The one result, after all that may still come has come."""
    result = await house.line.result(request_id)
    await house.idle()
    await turns()
    assert len(house.line.results(request_id)) == 1
    assert house.line.ops(request_id)[-1] == "call_tool_res"
    return result


# --- cancel --------------------------------------------------------------------------------------


async def test_cancel_of_a_new_call(house: House, bench: Bench) -> None:
    house.call("wait")
    house.cancel()
    assert (await only_result(house))["error"]["code"] == "CANCELLED"
    assert bench.started == []


async def test_cancel_of_a_queued_call(opened: Opened, bench: Bench) -> None:
    async with opened(global_max_inflight=1) as house:
        house.call("wait", "first")
        await house.line.until(lambda: bench.started)
        house.call("wait")
        await house.line.until(house.line.ops)
        house.cancel()
        assert (await asyncio.wait_for(house.line.error(), 1))["code"] == "CANCELLED"
        assert house.ledger.waiting == 0
        bench.go.set()
        await only_result(house)
    assert bench.started == ["first"]


async def test_cancel_while_the_call_is_journaled(shaky: House, store: Any, bench: Bench) -> None:
    gate = store.gate("accept_call")
    shaky.call("wait")
    await store.until_asked("accept_call")
    shaky.cancel()
    assert (await only_result(shaky))["error"]["code"] == "CANCELLED"
    gate.set()
    assert bench.started == []


async def test_cancel_at_the_provider_aborts_it_within_a_second(house: House) -> None:
    house.sim.state.set_fault("kimi", parse_fault("latency=30"))
    house.call("chat", prompt="x", model=KIMI)
    await house.upstream(in_flight=1)
    house.cancel()
    await house.upstream(aborted=1)
    assert (await only_result(house))["error"]["code"] == "CANCELLED"
    assert house.sim.state.total("received") == 1


async def test_cancel_in_a_stream_aborts_it_within_a_second(house: House) -> None:
    house.sim.state.set_fault("kimi", parse_fault("stall=30; at=3"))
    house.call("chat", prompt="x", model=KIMI, stream=True)
    await house.line.until(lambda: len(house.line.deltas()) == 3)
    house.cancel()
    await house.upstream(aborted=1)
    assert (await only_result(house))["error"]["code"] == "CANCELLED"
    assert len(house.line.deltas()) == 3


async def test_cancel_when_the_outcome_stands_leaves_it(shaky: House, store: Any, bench: Bench) -> None:
    gate = store.gate("finish_call")
    bench.go.set()
    shaky.call("wait")
    await store.until_asked("finish_call")
    shaky.cancel()
    await turns()
    gate.set()
    assert (await only_result(shaky))["text"] == "done"


async def test_cancel_after_the_end_repeats_the_result(house: House, bench: Bench) -> None:
    bench.go.set()
    house.call("wait")
    await only_result(house)
    house.cancel()
    assert await house.line.text(nth=2) == "done"


async def test_cancel_of_nothing_is_answered(house: House) -> None:
    house.cancel("nothing")
    assert (await house.line.error("nothing"))["code"] == "NOT_FOUND"


async def test_cancel_many_times_is_one_result(house: House, bench: Bench) -> None:
    house.call("wait")
    await house.line.until(lambda: bench.started)
    for _ in range(3):
        house.cancel()
    await asyncio.sleep(0)
    house.cancel()
    assert (await only_result(house))["error"]["code"] == "CANCELLED"
    house.call("wait")
    assert (await house.line.error(nth=2))["code"] == "CANCELLED"  # replayed, as any outcome


async def test_cancel_reaches_all_who_watch(house: House, bench: Bench) -> None:
    house.call("wait")
    await house.line.until(lambda: bench.started)
    second, third = Line(), Line()
    house.call("wait", line=second)
    await second.until(lambda: len(second.ops()) == 2)
    house.cancel(line=third)
    for line in (house.line, second, third):
        assert (await line.error())["code"] == "CANCELLED"


async def test_a_tool_that_takes_no_cancellation_gives_its_result(house: House, bench: Bench) -> None:
    house.call("stubborn")
    await house.line.until(lambda: bench.started)
    house.cancel()
    assert (await only_result(house))["text"] == "stayed"


# --- the client leaves ---------------------------------------------------------------------------


async def test_a_client_that_leaves_aborts_its_calls(house: House, bench: Bench) -> None:
    house.sim.state.set_fault("kimi", parse_fault("latency=30"))
    house.call("chat", prompt="x", model=KIMI)
    house.call("wait", "r2")
    house.call("wait", "new")
    await house.upstream(in_flight=1)
    await house.line.until(lambda: bench.started)
    house.daemon.left(house.session, house.line)
    await house.upstream(aborted=1)
    await house.idle()
    house.daemon.sessions.prune(house.daemon.started_at + 60.0, 600.0)
    assert len(house.daemon.sessions) == 0
    assert house.line.results() == []


async def test_a_detached_call_goes_on_and_its_result_is_fetched_later(house: House, bench: Bench) -> None:
    line = Line()
    session = await house.join(line, features=["resume"])
    secret = line.frames[0]["resume"]
    house.call("say", pieces=["a", "b"], then_wait=True, detach=True, stream=True, session=session, line=line)
    house.call("wait", "r2", session=session, line=line)
    await line.until(lambda: len(line.deltas()) == 2 and "r2" in bench.started)
    left = session.calls["r2"]
    house.daemon.left(session, line)
    assert "CANCELLED" in await asyncio.wait_for(left.wait(), 1)
    assert [call.request_id for call in house.dispatcher.running] == ["r1"]
    assert bench.ended == ["r2"]

    back = Line()
    assert await house.join(back, session_id=session.id, resume=secret) is session
    await back.until(lambda: len(back.deltas()) == 2)
    house.fetch(session=session, line=back)
    assert (await back.error())["code"] == "RUNNING"
    house.daemon.left(session, back)
    bench.go.set()
    await house.idle()

    again = Line()
    await house.join(again, session_id=session.id, resume=secret)
    house.fetch(session=session, line=again)
    assert await again.text() == "ab"
    house.fetch("r2", session=session, line=again)
    assert (await again.error("r2"))["code"] == "CANCELLED"


async def test_a_call_watched_from_elsewhere_outlives_one_of_its_clients(house: House, bench: Bench) -> None:
    second = Line()
    house.call("wait")
    await house.line.until(lambda: bench.started)
    house.call("wait", line=second)
    await second.until(lambda: len(second.ops()) == 2)
    house.dispatcher.client_left(house.session, house.line)
    await turns()
    bench.go.set()
    assert await second.text() == "done"
    assert house.line.results() == []


async def test_a_resumed_client_that_leaves_at_once_starts_no_call(
    shaky: House, store: Any, bench: Bench
) -> None:
    """The store is asked first whether it knows the call; leaving meanwhile must end it all the same."""
    session, line = await resumed(shaky)
    gate = store.gate("find_call")
    shaky.call("wait", session=session, line=line)
    await store.until_asked("find_call")
    shaky.daemon.left(session, line)
    gate.set()
    await turns()
    await shaky.idle()
    assert bench.started == []


async def test_a_resumed_client_can_cancel_what_it_just_asked(shaky: House, store: Any, bench: Bench) -> None:
    session, line = await resumed(shaky)
    gate = store.gate("find_call")
    shaky.call("wait", session=session, line=line)
    await store.until_asked("find_call")
    shaky.cancel(session=session, line=line)
    await turns()
    gate.set()
    assert (await line.error())["code"] == "CANCELLED"
    await shaky.idle()
    assert bench.started == []


async def test_a_resumed_client_that_asks_twice_runs_it_once(shaky: House, store: Any, bench: Bench) -> None:
    session, line = await resumed(shaky)
    gate = store.gate("find_call")
    for _ in range(2):
        shaky.call("wait", session=session, line=line)
    await store.until_asked("find_call")
    await turns()
    gate.set()
    bench.go.set()
    assert await line.text() == "done"
    await shaky.idle()
    await turns()
    assert (bench.started, len(line.results())) == (["r1"], 1)


async def resumed(house: House) -> Any:
    """A session that comes from the store, as after a restart, with its line."""
    line = Line()
    session = await house.join(line, features=["resume"])
    secret = line.frames[0]["resume"]
    house.daemon.left(session, line)
    house.daemon.sessions._sessions.pop(session.id)
    back = Line()
    restored = await house.join(back, session_id=session.id, resume=secret)
    assert restored is not session
    return restored, back


async def test_after_a_restart_an_interrupted_call_is_told_and_not_run_again(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line()
    async with open_house(tmp_path, bench.tools()) as house:
        session = await house.join(line, features=["resume"])
        secret = line.frames[0]["resume"]
        house.call("say", "done", pieces=["kept"], session=session, line=line)
        await line.text("done")
        house.call("wait", session=session, line=line)
        await line.until(lambda: bench.started[1:])
        record = await house.daemon.storage.find_call(session.id, "r1")
        assert record is not None
        assert record.state == "running"
        # The daemon dies here: what its end would write is not written.
        monkeypatch.setattr(house.daemon.storage, "finish_call", _nothing)
        house.cancel(session=session, line=line)
        await house.idle()
    async with open_house(tmp_path, bench.tools()) as house:
        assert [call.request_id for call in await house.daemon.storage.interrupt_running(1.0e10)] == ["r1"]
        back = Line()
        session = await house.join(back, session_id=session.id, resume=secret)
        house.call("wait", session=session, line=back)
        error = await back.error()
        assert (error["code"], error["tool"]) == ("INTERRUPTED", "wait")
        house.fetch(session=session, line=back)
        assert (await back.error(nth=2))["code"] == "INTERRUPTED"
        house.call("say", "done", pieces=["kept"], session=session, line=back)
        assert await back.text("done") == "kept"
        assert bench.started == ["done", "r1"]


async def _nothing(*_args: object) -> None:
    pass


# --- sessions ------------------------------------------------------------------------------------


async def test_the_newer_connection_takes_the_session(house: House, bench: Bench) -> None:
    first = Line()
    session = await house.join(first, features=["resume", "stream"])
    secret = first.frames[0]["resume"]
    house.call("say", pieces=["a"], then_wait=True, stream=True, session=session, line=first)
    await first.until(first.deltas)
    second = Line()
    assert await house.join(second, session_id=session.id, resume=secret) is session
    await turns()
    assert first.closed is not None
    house.daemon.left(session, first)
    bench.go.set()
    assert await second.text() == "a"
    assert second.deltas() == ["a"]
    assert first.results() == []


async def test_an_old_connection_that_takes_nothing_does_not_hold_up_the_new_one(house: House) -> None:
    """What a dropped network leaves behind: closing it may take its whole time limit."""

    class Stuck(Line):
        async def close(self, code: int, reason: str) -> None:
            await super().close(code, reason)
            await released.wait()

    released = asyncio.Event()
    stuck, line = Stuck(), Line()
    session = await house.join(stuck, features=["resume"])
    secret = stuck.frames[0]["resume"]
    async with asyncio.timeout(1):
        assert await house.join(line, session_id=session.id, resume=secret) is session
    await turns()
    assert stuck.closed is not None
    assert stuck.closed[0] == 4004
    assert line.frames[0]["ok"] is True
    released.set()


@pytest.mark.parametrize(
    "hello",
    [
        {"session_id": "wrong", "resume": "secret"},
        {"session_id": "right", "resume": "wrong"},
        {"session_id": "right", "resume": "é"},
    ],
)
async def test_resuming_needs_the_secret(house: House, hello: dict[str, str]) -> None:
    line = Line()
    session = await house.join(line, features=["resume"])
    if hello["session_id"] == "right":
        hello = hello | {"session_id": session.id}
    message = protocol.Hello(session_id=hello["session_id"], resume=hello["resume"])
    answer = await house.daemon.enter(Line(), message)
    assert isinstance(answer, protocol.Refused)
    assert answer.close == 4003
    assert "unauthorized" in answer.frame


async def test_a_session_id_without_its_secret_is_a_new_session(house: House) -> None:
    again = await house.join(Line(), session_id=house.session.id)
    assert again.id != house.session.id


async def test_a_store_that_is_away_does_not_keep_clients_out(shaky: House, store: Any) -> None:
    store.failing = {"save_session", "load_session"}
    line = Line()
    await shaky.join(line, features=["resume"])
    assert "resume" not in line.frames[0]
    answer = await shaky.daemon.enter(Line(), protocol.Hello(session_id="x", resume="y"))
    assert isinstance(answer, protocol.Refused)


# --- out of time, broken -------------------------------------------------------------------------


async def test_a_call_out_of_time(opened: Opened, bench: Bench) -> None:
    async with opened(call_timeout_s=0.1) as house:
        house.call("wait")
        error = (await only_result(house))["error"]
        assert error["code"] == "TIMEOUT"
        assert "0.1 s" in error["message"]
    assert bench.ended == ["r1"]


async def test_a_provider_out_of_time(opened: Opened) -> None:
    async with opened(tool_timeout_s=0.2, provider_attempts=1) as house:
        house.sim.state.set_fault("kimi", parse_fault("latency=30"))
        house.call("chat", prompt="x", model=KIMI)
        error = (await only_result(house))["error"]
        assert (error["code"], error["provider"]) == ("TIMEOUT", "kimi")
        await house.upstream(aborted=1)


@pytest.mark.parametrize(
    ("how", "told", "logged"),
    [
        ("defect", "defect", "detail for the log"),
        ("exit", "defect", "SystemExit"),
        ("own timeout", "defect", "the tool's own"),
        ("tool error", "cannot do that", None),
        ("surrogate", "no file ?", None),
    ],
)
async def test_a_tool_that_fails(house: House, how: str, told: str, logged: str | None) -> None:
    with capture_logs() as logs:
        house.call("fail", how=how)
        error = (await only_result(house))["error"]
    assert error["code"] == "EXEC_ERROR"
    assert told in error["message"]
    assert "detail for the log" not in str(error)
    written = [log for log in logs if log["log_level"] == "error"]
    if logged is None:
        assert written == []
    else:
        (line,) = written
        assert (line["tool"], line["request"]) == ("fail", "r1")
        assert line["exc_info"] is True
    house.call("quick", "after")
    await house.line.text("after")


async def test_a_tool_whose_own_task_was_cancelled_has_failed(house: House) -> None:
    house.call("lost")
    assert (await only_result(house))["error"]["code"] == "EXEC_ERROR"


async def test_an_answer_that_no_frame_can_carry(house: House) -> None:
    with capture_logs() as logs:
        house.call("strange")
        assert (await only_result(house))["error"]["code"] == "EXEC_ERROR"
    assert [log["tool"] for log in logs if log["log_level"] == "error"] == ["strange"]


async def test_a_provider_that_refuses(opened: Opened) -> None:
    async with opened(provider_attempts=1) as house:
        house.sim.state.set_fault("kimi", parse_fault("status=401"))
        house.call("chat", prompt="x", model=KIMI)
        error = (await only_result(house))["error"]
        assert (error["code"], error["provider"], error["status"]) == ("EXEC_ERROR", "kimi", 401)


async def test_an_unknown_tool(house: House) -> None:
    house.call("chatt")
    error = await house.line.error()
    assert error["code"] == "TOOL_NOT_FOUND"
    assert "did you mean chat?" in error["message"]
    assert house.line.ops() == ["call_tool_res"]


@pytest.mark.parametrize(
    ("name", "arguments", "field"),
    [
        ("chat", {}, "prompt"),
        ("chat", {"prompt": 5}, "prompt"),
        ("chat", {"prompt": "x", "temperature": 9}, "temperature"),
        ("chat", {"prompt": "x", "nonsense": 1}, "nonsense"),
        ("say", {"pieces": [1]}, "pieces"),
        ("quick", {"more": None}, "more"),
    ],
)
async def test_bad_arguments_name_the_field_and_take_no_permit(
    opened: Opened, bench: Bench, name: str, arguments: dict[str, Any], field: str
) -> None:
    async with opened(global_max_inflight=1, queue_max=0) as house:
        house.call("wait", "holder")
        await house.line.until(lambda: bench.started)
        house.call(name, "r1", **arguments)
        error = await house.line.error()
        assert error["code"] == "EXEC_ERROR"
        assert field in error["message"]
        assert "call_tool_ack" not in house.line.ops()
        house.call("wait", "r1")
        bench.go.set()


async def test_arguments_of_any_depth_are_answered(house: House) -> None:
    """A message that was decoded near the recursion limit must not break what looks at it after."""
    for depth in range(900, 1000):
        data = (
            f'{{"op":"call_tool","request_id":"{depth}","name":"quick","arguments":{{"a":'
            + "[" * depth
            + "]" * depth
            + "}}"
        )
        machine = protocol.ServerProtocol()
        machine.opened()
        message = machine.receive(data)
        if isinstance(message, CallTool):
            house.dispatcher.submit(house.session, house.line, message)
            assert (await house.line.error(str(depth)))["code"] == "EXEC_ERROR"


async def test_an_unknown_model_takes_no_permit(house: House) -> None:
    house.call("chat", prompt="x", model="gpt-nonsense")
    error = (await only_result(house))["error"]
    assert error["code"] == "EXEC_ERROR"
    assert "gpt-nonsense" in error["message"]
    assert "call_tool_ack" not in house.line.ops()


# --- the store -----------------------------------------------------------------------------------


async def test_a_store_that_fails_at_accept(shaky: House, store: Any, bench: Bench) -> None:
    store.failing = {"accept_call"}
    shaky.call("wait")
    error = (await only_result(shaky))["error"]
    assert error["code"] == "EXEC_ERROR"
    assert "the disk is full" in error["message"]
    assert (bench.started, shaky.ledger.held) == ([], 0)
    store.failing = set()
    bench.go.set()
    shaky.call("wait")
    assert await shaky.line.text(nth=2) == "done"


@pytest.mark.parametrize("failing", ["finish_call", "append_messages"])
async def test_a_store_that_fails_at_the_end(shaky: House, store: Any, failing: str) -> None:
    store.failing = {failing}
    shaky.call("chat", prompt="hello")
    result = await only_result(shaky)
    assert 'You now say: "hello"' in result["text"]
    assert "not stored" in result["metadata"]["warning"]


@pytest.mark.parametrize("recovers", [True, False])
async def test_a_result_that_was_not_stored_is_kept_and_not_asked_for_again(
    shaky: House, store: Any, recovers: bool
) -> None:
    store.failing = {"finish_call"}
    shaky.call("chat", prompt="hello", detach=True)
    result = await only_result(shaky)
    store.failing = set() if recovers else {"finish_call", "accept_call", "find_call"}
    shaky.fetch()
    assert await shaky.line.result(nth=2) == result
    shaky.call("chat", prompt="hello")
    assert await shaky.line.result(nth=3) == result
    shaky.call("chat", prompt="other")
    assert (await shaky.line.error(nth=4))["code"] == "DUPLICATE"
    assert shaky.sim.state.total("received") == 1


async def test_a_store_that_fails_at_a_replay(shaky: House, store: Any) -> None:
    shaky.call("quick")
    await only_result(shaky)
    store.failing = {"find_call"}
    shaky.fetch()
    assert "the disk is full" in (await shaky.line.error(nth=2))["message"]


async def test_a_write_that_fails_by_a_defect_is_said(house: House, bench: Bench) -> None:
    async def broken() -> None:
        raise RuntimeError("a defect in another's tool")

    bench.deferred = [broken()]
    with capture_logs() as logs:
        house.call("late")
        result = await only_result(house)
    assert result["text"] == "answered"
    assert "not stored" in result["metadata"]["warning"]
    assert "defect in another's" not in str(result)
    assert [log for log in logs if log["log_level"] == "error"]


async def test_a_write_that_never_ends_holds_no_call(opened: Opened, bench: Bench) -> None:
    async def endless() -> None:
        await asyncio.Event().wait()

    bench.deferred = [endless()]
    async with opened(call_timeout_s=0.1) as house:
        house.call("late")
        result = await only_result(house)
        assert "not stored" in result["metadata"]["warning"]


# --- the end of the daemon -----------------------------------------------------------------------


async def test_what_is_cut_is_interrupted_and_kept(house: House, bench: Bench) -> None:
    house.call("wait")
    await house.line.until(lambda: bench.started)
    house.dispatcher.draining = True
    (cut,) = house.dispatcher.cut("the daemon stopped")
    assert cut.request_id == "r1"
    error = (await only_result(house))["error"]
    assert (error["code"], error["message"]) == ("INTERRUPTED", "the daemon stopped")
    record = await house.daemon.storage.find_call(house.session.id, "r1")
    assert record is not None
    assert record.result is not None
    assert "INTERRUPTED" in record.result


async def test_a_session_without_a_secret_is_not_stored(house: House) -> None:
    assert await house.daemon.storage.load_session(house.session.id) is None
    line = Line()
    session = await house.join(line, features=["resume"])
    stored = await house.daemon.storage.load_session(session.id)
    assert isinstance(stored, SessionRecord)
    secret = line.frames[0]["resume"]
    assert len(secret) >= 22  # 128 bits in base64
    assert secret not in repr(stored)
