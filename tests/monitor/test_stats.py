"""Rows of statistics: of events as a monitor counts them, of a daemon's state, as tables and as JSON."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exai_ops.commands.monitor.clock import clock
from exai_ops.commands.monitor.stats_table import Report, as_json, as_text, needs_events, of_events, of_state
from exai_ops.monitor.events import DIRECTIONS, Event
from exai_ops.monitor.recorder import Monitor
from exai_ops.monitor.state_stats import countable, rows_of, summary_of, untold, with_lately
from exai_ops.monitor.stats import KEYS, ORDERS, Counted, joined, ordered
from exai_ops.monitor.wire import Filter, Lag, Rates, State, TypeState

NOW = 1_767_225_600.0
UTC = clock("UTC", None)
ALL_KEYS = [keys for length in (1, 2, 3) for keys in permutations(KEYS, length)]

EVENTS = st.lists(
    st.builds(
        Event,
        st.floats(min_value=NOW - 30, max_value=NOW),
        st.sampled_from(["kimi", "websocket", "a/b"]),
        st.sampled_from(DIRECTIONS),
        st.just("s.py"),
        st.sampled_from(["f", "g"]),
        st.integers(0, 10**9),
        st.none() | st.floats(min_value=0, max_value=1e6),
        st.none() | st.just("x"),
        st.none(),
        st.just(1),
    ),
    max_size=20,
)


def recorded(events: list[Event]) -> Monitor:
    now = [NOW]
    monitor = Monitor(clock=lambda: now[0])
    for event in events:
        now[0] = event.timestamp
        monitor.record(
            event.connection_type,
            event.direction,
            script_name=event.script_name,
            function_name=event.function_name,
            data_size_bytes=event.data_size_bytes,
            response_time_ms=event.response_time_ms,
            error=event.error,
        )
    now[0] = NOW
    return monitor


def state_of(monitor: Monitor, series: int = 50, **more: Any) -> State:
    fields: dict[str, Any] = {
        "time": NOW, "stream": "s", "sequence": monitor.sequence, "version": "1", "started_at": NOW - 100,
        "state": "ready", "unready": None, "simulated": True, "permits": {}, "providers": [], "sessions": [],
        "connections": 0, "lag": Lag(last_ms=None, max_60s_ms=None, p99_ms=None), "malformed": 0,
        "sampled_out": 0, "tails": 0, "dropped": 0, "stored_bytes": None, "alerts": [],
    }  # fmt: skip
    types = {
        name: TypeState(
            **now.total.as_dict(),
            rates=Rates(**now.recent.rates.as_dict()),
            p50_ms=now.recent.p50_ms,
            p95_ms=now.recent.p95_ms,
            p99_ms=now.recent.p99_ms,
        )
        for name, now in monitor.by_type().items()
    }
    functions = [one.as_dict() for one in monitor.by_series(series)]
    return State(**fields | {"types": types, "functions": functions} | more)


def counted(events: list[Event], by: tuple[str, ...] = ("type",)) -> Counted:
    made = Counted(by)
    made.add(events)
    return made


@settings(max_examples=40)
@given(EVENTS)
def test_events_are_counted_as_the_monitor_counts_them(events: list[Event]) -> None:
    events.sort(key=lambda event: event.timestamp)
    monitor, mine = recorded(events), counted(events).summary()
    theirs = monitor.stats()
    assert mine.keys() == theirs.keys()
    for name, stats in theirs.items():
        assert mine[name].as_dict() == pytest.approx(stats.as_dict())
    assert summary_of(state_of(monitor)) == theirs


@settings(max_examples=40)
@given(EVENTS, st.sampled_from(ALL_KEYS))
def test_a_daemons_counts_and_its_events_tell_the_same(events: list[Event], by: tuple[str, ...]) -> None:
    events.sort(key=lambda event: event.timestamp)
    state = state_of(recorded(events))
    from_state = rows_of(state, by, Filter())
    from_events = counted(events, by).rows()
    names = ("key", "events", "errors", "sent_bytes", "received_bytes", "last_event_timestamp")
    assert [[getattr(row, name) for name in names] for row in from_state] == [
        [getattr(row, name) for name in names] for row in from_events
    ]
    for one, other in zip(from_state, from_events, strict=True):
        assert one.mean_ms == pytest.approx(other.mean_ms)
    report = of_state(
        state, counted(events, by) if needs_events(by, Filter()) else None, by, "name", Filter()
    )
    assert [row.lately for row in report.rows] == [row.whole for row in from_events]


@settings(max_examples=40)
@given(EVENTS, st.integers(1, 1000))
def test_weights_count(events: list[Event], weight: int) -> None:
    weighed = counted([event._replace(weight=weight) for event in events])
    plain = counted(events)
    assert (weighed.kept, weighed.stand_for) == (len(events), len(events) * weight)
    for one, other in zip(weighed.rows(), plain.rows(), strict=True):
        assert one.events == weight * other.events
        assert one.errors == weight * other.errors
        assert one.sent_bytes == weight * other.sent_bytes
        assert one.mean_ms == pytest.approx(other.mean_ms)
        assert one.whole == other.whole


def test_filters_by_key_are_countable_others_are_not() -> None:
    monitor = recorded(
        [Event(NOW - 2, "kimi", "send", "s", "f", 10), Event(NOW - 1, "glm", "receive", "s", "g", 20, 5.0)]
    )
    state = state_of(monitor)
    for wanted, keys in (
        (Filter(), [("glm",), ("kimi",)]),
        (Filter(types=("kimi",)), [("kimi",)]),
        (Filter(directions=("receive",)), [("glm",)]),
        (Filter(functions=("f",)), [("kimi",)]),
        (Filter(types=("kimi",), directions=("receive",)), []),
    ):
        assert countable(wanted)
        assert [row.key for row in rows_of(state, ("type",), wanted)] == keys
    for wanted in (Filter(errors=True), Filter(grep=("x",)), Filter(slower_ms=1), Filter(session="a")):
        assert not countable(wanted)


def test_what_is_not_among_the_busiest_is_told() -> None:
    events = [Event(NOW - 1, "kimi", "send", "s", f"f{n}") for n in range(5) for _ in range(n + 1)]
    state = state_of(recorded(events), series=2)
    assert untold(state) == 15 - 9
    report = of_state(state, None, KEYS, "events", Filter())
    assert "without 6 events" in as_text(report, UTC, 80, colour=False)
    assert of_state(state, None, ("type",), "events", Filter()).untold == 0


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_puts_the_greatest_first(order: str) -> None:
    events = [
        Event(NOW, "quiet", "send", "s", "f", 1, 1.0),
        *(Event(NOW, "busy", "error", "s", "f", 0, 90.0, "x") for _ in range(3)),
        *(Event(NOW, "busy", "send", "s", "f", 500, 90.0) for _ in range(3)),
    ]
    names = [row.key[0] for row in ordered(counted(events).rows(), order)]
    assert names == ["busy", "quiet"]


def report_of(events: list[Event], by: tuple[str, ...] = KEYS, *, live: bool = True) -> Report:
    return of_events(counted(events, by), by, "events", live=live, begin_s=NOW - 10, end_s=NOW)


BUSY = [
    Event(
        NOW - n % 9, "websocket", "receive", "s", "a_function_with_a_long_name" * (1 + n % 3), 10**6, 123456.0
    )
    for n in range(2000)
] + [Event(NOW, "kimi\x1b[2J", "error", "s", "f", 0, None, "HTTP 500")]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("by", ALL_KEYS)
def test_a_table_fits_its_terminal(by: tuple[str, ...], width: int) -> None:
    state = state_of(recorded(BUSY), series=50)
    for report in (report_of(BUSY, by), of_state(state, counted(BUSY, by), by, "events", Filter())):
        text = as_text(report, UTC, width, colour=False)
        assert "\x1b" not in text
        if width >= 80:
            assert max(map(len, text.splitlines())) <= width
        assert "2,001" in text or len(report.rows) == 1


def test_what_a_table_says() -> None:
    events = [
        Event(NOW - 4, "kimi", "receive", "s", "f", 2000, 100.0),
        Event(NOW - 3, "kimi", "error", "s", "f", 0, 300.0, "HTTP 500"),
        Event(NOW - 2, "glm", "send", "s", "f", 500),
    ]
    title, head, *rows = as_text(report_of(events, ("type",)), UTC, 100, colour=False).splitlines()
    assert title == "2025-12-31 23:59:50 UTC to 2026-01-01 00:00:00 UTC"
    assert head.split() == ["events", "/s", "errors", "err%", "sent", "received", "mean", "p50", "p95", "p99"]
    assert rows[0].split()[:7] == ["kimi", "2", "0.2", "1", "50.0", "2.0", "kB"]
    assert [row.split()[0] for row in rows] == ["kimi", "glm", "all"]
    coloured = as_text(report_of(events, ("type",)), UTC, 100, colour=True).splitlines()
    assert [line.startswith("\x1b[31m") for line in coloured] == [False, False, True, False, True]
    assert as_text(report_of([]), UTC, 80, colour=False) == "no events\n"


def test_json_tells_all() -> None:
    monitor = recorded([Event(NOW - 3, "kimi", "receive", "s", "f", 2000, 100.0)])
    found = json.loads(as_json(of_state(state_of(monitor), None, KEYS, "events", Filter())))
    assert (found["schema_version"], found["source"], found["exact"]) == (1, "daemon", True)
    assert (found["since"], found["until"]) == (
        "2025-12-31T23:58:20.000+00:00",
        "2026-01-01T00:00:00.000+00:00",
    )
    (row,) = found["rows"]
    assert {name: row[name] for name in (*KEYS, "events", "received_bytes", "mean_ms", "events_per_s")} == {
        "type": "kimi", "function": "f", "direction": "receive", "events": 1, "received_bytes": 2000,
        "mean_ms": 100.0, "events_per_s": 0.01,
    }  # fmt: skip
    assert row["last_60s"]["rates"]["events_10s"] == 0.1
    assert row["p95_ms"] == pytest.approx(100, rel=0.021) == row["last_60s"]["p95_ms"]
    assert json.loads(as_json(report_of([], live=False)))["until"] is None


def test_the_sum_of_rows() -> None:
    state = state_of(
        recorded([Event(NOW - 3, "kimi", "receive", "s", "f", 7), Event(NOW - 3, "glm", "send", "s", "f")])
    )
    total = joined(rows_of(state, ("type",), Filter()))
    assert (total.events, total.received_bytes, total.active, total.mean_ms) == (2, 7, 0, None)
    assert total.rates is not None
    assert total.rates.events_10s == pytest.approx(0.2)
    assert with_lately([total], counted([])) == [total]
