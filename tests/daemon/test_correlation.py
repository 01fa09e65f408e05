"""One call's events, joined: what the daemon, its permits and its providers tell of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exai_ops.daemon.call import ID_SHOWN
from exai_ops.daemon.lifecycle import monitor_of
from exai_ops.errors import UsageError
from exai_ops.monitor import trace
from exai_ops.monitor.events import CORRELATION, Event
from exai_ops.providers.simulator import parse_fault
from exai_ops.settings import Settings

from .daemon_parts import Bench, House, open_house


def of(house: House, request: str = "r1") -> list[Event]:
    (events,) = trace.calls(house.daemon.monitor.recent(), request, house.session.id).values()
    return events


def names(events: list[Event]) -> list[str]:
    return [span.name for span in trace.spans(events)]


def meta(event: Event) -> dict[str, Any]:
    return dict(event.metadata or {})


async def test_a_streamed_call_is_a_waterfall(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        house.call("chat", prompt="a secret of the user", stream=True)
        await house.line.text()
        await house.idle()
        events = of(house)
        told = names(events)
        assert told == ["chat", "queue", "journal", "kimi 1", "first token", "streaming", "result"]
        asked, answered, result = events
        assert {meta(event)["session"] for event in events} == {house.session.id}
        assert {meta(event)["tool"] for event in events} == {"chat"}
        assert meta(answered)["completion_tokens"] > 0
        assert 0 < meta(answered)["first_token_ms"] <= (answered.response_time_ms or 0)
        assert (meta(answered)["status"], meta(asked)["attempt"]) == (200, 1)
        assert (meta(result)["provider"], result.error) == ("kimi", None)
        spent = meta(result)["queue_wait_ms"] + meta(result)["journal_ms"] + meta(result)["result_ms"]
        assert 0 < spent < (result.response_time_ms or 0)
        assert meta(result)["permit_wait_ms"] <= meta(result)["queue_wait_ms"]
        assert "a secret" not in house.daemon.monitor.export().decode()
        known = {*CORRELATION}
        assert all({*meta(event)} <= known for event in events)


async def test_waiting_for_a_permit_is_an_event(tmp_path: Path) -> None:
    bench = Bench()
    async with open_house(tmp_path, bench.tools(), global_max_inflight=1) as house:
        house.call("wait", "first")
        await house.line.until(lambda: "call_tool_ack" in house.line.ops("first"))
        house.call("wait", "second")
        await house.line.until(lambda: "progress" in house.line.ops("second"))
        bench.go.set()
        await house.line.text("second")
        await house.idle()
        assert [event.connection_type for event in of(house, "first")] == ["websocket"]
        waited, result = of(house, "second")
        assert (waited.connection_type, waited.direction, waited.function_name) == (
            "permits",
            "receive",
            "take",
        )
        assert waited.response_time_ms == meta(waited)["permit_wait_ms"] == meta(result)["permit_wait_ms"] > 0
        assert names(of(house, "second")) == ["wait", "queue", "journal", "result"]


async def test_retries_and_the_other_provider_are_told_apart(tmp_path: Path) -> None:
    async with open_house(tmp_path, provider_attempts=2) as house:
        house.sim.state.set_fault("kimi", parse_fault("status=500; retry-after=0.01"))
        house.call("chat", prompt="hello")
        await house.line.text()
        await house.idle()
        events = of(house)
        assert names(events) == [
            "chat",
            "queue",
            "journal",
            "kimi 1",
            "backoff",
            "kimi 2",
            "failover",
            "glm 1",
            "result",
        ]
        failed = [event for event in events if event.direction == "error"]
        assert [(meta(event)["status"], meta(event)["attempt"]) for event in failed] == [(500, 1), (500, 2)]
        assert meta(events[-1])["provider"] == "glm"


async def test_refused_for_want_of_capacity(tmp_path: Path) -> None:
    bench = Bench()
    async with open_house(tmp_path, bench.tools(), global_max_inflight=1, queue_max=0) as house:
        house.call("wait", "first")
        await house.line.until(lambda: "call_tool_ack" in house.line.ops("first"))
        house.call("wait", "second")
        await house.line.error("second")
        bench.go.set()
        await house.line.text("first")
        await house.idle()
        (result,) = of(house, "second")
        assert (result.direction, result.error) == ("error", "OVER_CAPACITY")
        assert names([result]) == ["wait", "queue", "result"]


async def test_a_long_request_id_is_cut_in_events(tmp_path: Path) -> None:
    bench = Bench()
    async with open_house(tmp_path, bench.tools()) as house:
        house.call("quick", "x" * 100_000)
        await house.line.text("x" * 100_000)
        await house.idle()
        (result,) = of(house, "x")
        assert meta(result)["request"] == "x" * ID_SHOWN


def test_sampling_is_as_the_settings_say() -> None:
    monitor = monitor_of(Settings(event_sampling="websocket/send=1/1000000"))
    for _ in range(100):
        monitor.record("websocket", "send", script_name="t", function_name="f")
    assert monitor.sampled_out >= 99
    with pytest.raises(UsageError, match="EXAI_EVENT_SAMPLING: 'websocket=1/0'"):
        monitor_of(Settings(event_sampling="websocket=1/0"))
