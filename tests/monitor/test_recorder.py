from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from exai_ops.monitor.aggregates import MAX_SERIES, OTHER, TypeStats
from exai_ops.monitor.recorder import BACKLOG_MAX, FOLD_AT, Monitor

JOIN_S = 30.0


def ticking(start: float = 1000.0) -> Callable[[], float]:
    now = iter(range(10**9))
    return lambda: start + next(now)


def put(monitor: Monitor, direction: str = "send", type_: str = "websocket", **more: Any) -> None:
    monitor.record(type_, direction, script_name="test", **({"function_name": "f"} | more))


def in_threads(*targets: Callable[[], None]) -> None:
    """Run all at once; fail, rather than hang, when one does not end."""
    failures: list[BaseException] = []

    def guarded(target: Callable[[], None]) -> None:
        try:
            target()
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=guarded, args=(target,), daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(JOIN_S)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    assert failures == []


RECORDS: list[tuple[str, list[dict[str, Any]], TypeStats]] = [
    ("one send", [{"data_size_bytes": 10}], TypeStats(total_events=1, total_sent_bytes=10)),
    (
        "receive does not count as sent",
        [{"direction": "receive", "data_size_bytes": 7}, {"data_size_bytes": 5}],
        TypeStats(total_events=2, total_sent_bytes=5, total_received_bytes=7),
    ),
    (
        "bytes of other directions are in neither",
        [{"direction": "reject", "data_size_bytes": 7}],
        TypeStats(total_events=1),
    ),
    (
        "the mean is over events that have a response time",
        [{"response_time_ms": 10.0}, {}, {"response_time_ms": 30.0}],
        TypeStats(total_events=3, avg_response_time_ms=20.0),
    ),
    (
        "a response time of 0 is one",
        [{"response_time_ms": 0.0}],
        TypeStats(total_events=1, avg_response_time_ms=0),
    ),
    (
        "an error by text or by direction, once each",
        [{"error": "boom"}, {"direction": "error"}, {"direction": "error", "error": "boom"}, {}],
        TypeStats(total_events=4, total_errors=3),
    ),
    (
        "neither a reject nor a rate limit is an error by itself",
        [{"direction": "reject"}, {"direction": "rate_limit"}],
        TypeStats(total_events=2),
    ),
    (
        "a connect that no scope holds is an event, not a connection",
        [{"direction": "connect"}],
        TypeStats(total_events=1, active_connections=0),
    ),
    (
        "over functions",
        [{"function_name": "f", "data_size_bytes": 1}, {"function_name": "g", "data_size_bytes": 2}],
        TypeStats(total_events=2, total_sent_bytes=3),
    ),
]


@pytest.mark.parametrize(
    ("records", "expected"), [row[1:] for row in RECORDS], ids=[row[0] for row in RECORDS]
)
def test_statistics_by_type(records: list[dict[str, Any]], expected: TypeStats) -> None:
    monitor = Monitor(clock=ticking())
    for record in records:
        put(monitor, **record)
    stats = monitor.stats()["websocket"].as_dict()
    assert stats.pop("last_event_timestamp") == 1000.0 + len(records) - 1
    assert stats == {name: value for name, value in expected.as_dict().items() if name in stats}


def test_types_are_apart() -> None:
    monitor = Monitor()
    put(monitor, type_="kimi")
    put(monitor, type_="a new kind")
    assert {name: stats.total_events for name, stats in monitor.stats().items()} == {
        "kimi": 1,
        "a new kind": 1,
    }


def test_statistics_by_series() -> None:
    monitor = Monitor()
    for ms in range(1, 101):
        put(monitor, function_name="g", response_time_ms=float(ms), data_size_bytes=2)
    put(monitor, "receive", function_name="g", error="boom")
    receive, send = monitor.series()
    assert (receive.direction, receive.count, receive.errors, receive.p50_ms) == ("receive", 1, 1, None)
    assert (send.connection_type, send.function_name, send.direction) == ("websocket", "g", "send")
    assert (send.count, send.timed, send.data_size_bytes, send.total_ms) == (100, 100, 200, 5050.0)
    assert (send.p50_ms, send.p95_ms, send.p99_ms) == pytest.approx((50, 95, 99), rel=0.02)


def test_response_times_of_a_type_are_merged() -> None:
    monitor = Monitor()
    for function, direction in (("f", "send"), ("g", "send"), ("g", "receive")):
        put(monitor, direction, function_name=function, response_time_ms=1.0)
    assert monitor.durations_ms("websocket").count == 3
    assert monitor.durations_ms("websocket", "send").count == 2
    assert monitor.durations_ms("kimi").count == 0


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, FOLD_AT - 1, FOLD_AT, 5 * FOLD_AT + 3])
def test_the_ring_is_bounded_and_the_totals_are_not(count: int) -> None:
    monitor = Monitor(capacity=10)
    for n in range(count):
        put(monitor, data_size_bytes=n)
    assert [event.data_size_bytes for event in monitor.recent()] == list(range(count))[-10:]
    assert monitor.sequence == count
    assert sum(stats.total_events for stats in monitor.stats().values()) == count


def test_the_backlog_is_bounded_while_nobody_reads() -> None:
    monitor = Monitor()
    for _ in range(3 * FOLD_AT):
        put(monitor)
        assert len(monitor._backlog) <= FOLD_AT


def test_recent_gives_the_last_ones_oldest_first() -> None:
    monitor = Monitor(capacity=5)
    for n in range(8):
        put(monitor, data_size_bytes=n)
    assert [event.data_size_bytes for event in monitor.recent(2)] == [6, 7]
    assert monitor.recent(0) == []
    assert len(monitor.recent(100)) == 5


def test_since_says_what_was_missed() -> None:
    monitor = Monitor(capacity=5)
    assert monitor.since(0).events == []
    for n in range(1, 9):
        put(monitor, data_size_bytes=n)
    batch = monitor.since(6)
    assert ([event.data_size_bytes for event in batch.events], batch.sequence, batch.missed) == ([7, 8], 8, 0)
    batch = monitor.since(1)
    assert ([event.data_size_bytes for event in batch.events], batch.sequence, batch.missed) == (
        [4, 5, 6, 7, 8],
        8,
        2,
    )
    assert monitor.since(8).events == []
    assert monitor.since(99).events == []


def test_totals_are_exact_from_eight_threads() -> None:
    monitor = Monitor(capacity=1000)

    def work() -> None:
        for _ in range(10_000):
            put(monitor, "send", data_size_bytes=3, response_time_ms=2.0)
            put(monitor, "receive", data_size_bytes=5, error="boom")

    in_threads(*[work] * 8)
    stats = monitor.stats()["websocket"]
    assert (stats.total_events, stats.total_sent_bytes, stats.total_received_bytes) == (
        160_000,
        240_000,
        400_000,
    )
    assert (stats.total_errors, stats.avg_response_time_ms) == (80_000, 2.0)
    assert (monitor.sequence, len(monitor.recent()), monitor.malformed) == (160_000, 1000, 0)


def test_reading_while_recording_neither_hangs_nor_loses() -> None:
    monitor = Monitor()
    done = threading.Event()
    seen: list[int] = [0]

    def write() -> None:
        try:
            for _ in range(5_000):
                put(monitor, response_time_ms=1.0)
        finally:
            done.set()

    def read() -> None:
        while not done.is_set():
            json.loads(monitor.export())
            monitor.series()
            monitor.recent(10)
            seen.append(sum(stats.total_events for stats in monitor.stats().values()))

    in_threads(write, read)
    assert seen == sorted(seen)
    assert monitor.stats()["websocket"].total_events == 5_000


def test_a_thread_that_follows_gets_every_event_once_and_in_order() -> None:
    monitor = Monitor(capacity=100_000)
    got: list[int] = []

    def write() -> None:
        for n in range(20_000):
            put(monitor, data_size_bytes=n)

    def read() -> None:
        sequence = 0
        while len(got) < 20_000:
            batch = monitor.since(sequence)
            sequence = batch.sequence
            got.extend(event.data_size_bytes for event in batch.events)

    in_threads(write, read)
    assert got == list(range(20_000))


def test_recording_does_not_wait_for_a_reader() -> None:
    monitor = Monitor()

    def record_many() -> None:
        for _ in range(10 * FOLD_AT):
            put(monitor)

    with monitor._settled():
        in_threads(record_many)
    assert 10 * FOLD_AT < BACKLOG_MAX
    assert monitor.sequence == 10 * FOLD_AT


def test_recording_in_the_middle_of_a_read_of_the_same_thread() -> None:
    """As a finaliser or a signal handler does."""
    monitor = Monitor()
    put(monitor)
    with monitor._settled():
        for _ in range(2 * FOLD_AT):
            put(monitor)
        assert monitor.stats()["websocket"].total_events == 1
    assert monitor.stats()["websocket"].total_events == 2 * FOLD_AT + 1


class Incomparable:
    """Like an array: asking whether two are equal raises."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "Incomparable()"


MALFORMED: list[dict[str, Any]] = [
    {"data_size_bytes": None},
    {"data_size_bytes": "12"},
    {"data_size_bytes": -1},
    {"data_size_bytes": math.nan},
    {"response_time_ms": 1.7e308, "data_size_bytes": 1.5},
    {"response_time_ms": -1.0},
    {"response_time_ms": math.nan},
    {"response_time_ms": math.inf},
    {"response_time_ms": "fast"},
    {"function_name": ["no", "name"]},
    {"function_name": None},
    {"type_": 3},
    {"data_size_bytes": None, "metadata": {"value": Incomparable()}},
]


@pytest.mark.parametrize("bad", MALFORMED, ids=str)
def test_an_event_that_cannot_be_counted_never_fails_its_caller(bad: dict[str, Any]) -> None:
    monitor = Monitor()
    for _ in range(3):
        put(monitor, data_size_bytes=1, response_time_ms=1.0)
        put(monitor, **bad)
    stats = monitor.stats()["websocket"]
    assert (stats.total_events, stats.total_sent_bytes, stats.avg_response_time_ms) == (3, 3, 1.0)
    assert (monitor.malformed, monitor.sequence, len(monitor.recent())) == (3, 3, 3)
    assert len(json.loads(monitor.export())["recent_events"]) == 3


def test_a_name_made_per_request_cannot_eat_the_memory() -> None:
    monitor = Monitor()
    total = 3 * MAX_SERIES
    for n in range(total):
        put(monitor, function_name=f"request {n}")
        put(monitor, type_=f"type {n}")
    series = monitor.series()
    assert len(series) <= 2 * MAX_SERIES + 1
    assert sum(one.count for one in series) == 2 * total
    assert (OTHER, OTHER) in {(one.connection_type, one.function_name) for one in series}


PACKED: list[tuple[Any, Any]] = [
    (None, None),
    ({"a": None}, {"a": None}),
    ((("a", "b"), None, 1, 2), {"a": 1, "b": 2}),
    ((("a", "b"), {"session": "s"}, 1, None), {"session": "s", "a": 1}),
    ((("a",), {"a": 0}, 1), {"a": 1}),
    ((("a",), None), {"unreadable": "a tuple that is no packed metadata"}),
    ((1, 2), {"unreadable": "a tuple that is no packed metadata"}),
    ((), {"unreadable": "a tuple that is no packed metadata"}),
]


@pytest.mark.parametrize(("metadata", "shown"), PACKED, ids=[str(row[0]) for row in PACKED])
def test_packed_metadata_is_read_as_a_mapping(metadata: Any, shown: Any) -> None:
    monitor = Monitor()
    put(monitor, metadata=metadata)
    assert monitor.recent()[0].metadata == monitor.since(0).events[0].metadata == shown
    assert json.loads(monitor.export())["recent_events"][0]["metadata"] == (shown or {})


def scope(monitor: Monitor, **more: Any) -> Any:
    return monitor.connection("websocket", script_name="test", function_name="serve", **more)


def test_a_connection_is_active_within_its_scope() -> None:
    monitor = Monitor()
    with scope(monitor, metadata={"session_id": "s"}), scope(monitor):
        assert monitor.stats()["websocket"].active_connections == 2
    assert monitor.stats()["websocket"].active_connections == 0
    events = monitor.recent()
    assert [event.direction for event in events] == ["connect", "connect", "disconnect", "disconnect"]
    assert events[0].metadata == {"session_id": "s"}
    assert events[3].metadata is not None
    assert events[3].metadata["session_id"] == "s"
    assert events[3].metadata["duration_s"] >= 0
    assert [event.response_time_ms for event in events] == [None] * 4


@pytest.mark.parametrize(
    ("error", "recorded"),
    [(ValueError("s3cret"), "ValueError"), (KeyboardInterrupt(), None)],
    ids=["error", "interrupt"],
)
def test_a_connection_that_ends_badly_is_no_longer_active(error: BaseException, recorded: str | None) -> None:
    monitor = Monitor()
    with pytest.raises(type(error)), scope(monitor):
        raise error
    assert monitor.stats()["websocket"].active_connections == 0
    assert monitor.recent()[-1].error == recorded
    assert "s3cret" not in monitor.export().decode()


def test_a_waker_is_called_once() -> None:
    monitor = Monitor()
    calls: list[int] = []
    monitor.on_next(lambda: calls.append(monitor.sequence))
    put(monitor)
    put(monitor)
    assert calls == [1]


def test_a_forgotten_waker_is_not_called() -> None:
    monitor = Monitor()
    calls: list[str] = []

    def wake() -> None:
        calls.append("woken")

    monitor.on_next(wake)
    monitor.forget(wake)
    monitor.forget(wake)
    put(monitor)
    assert calls == []


def test_a_waker_that_fails_does_not_fail_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    monitor = Monitor()
    calls: list[str] = []
    monitor.on_next(lambda: 1 / 0)  # type: ignore[arg-type]
    monitor.on_next(lambda: calls.append("woken"))
    put(monitor)
    assert calls == ["woken"]
    assert "a callback of the monitor failed" in caplog.text


def test_a_capacity_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity"):
        Monitor(capacity=0)
