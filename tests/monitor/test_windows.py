from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.monitor.histogram import RELATIVE_ERROR
from exai_ops.monitor.recorder import Monitor
from exai_ops.monitor.windows import Rates

NOW = 1_700_000_000.0


class Clock:
    """Stands where it is put."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def put(monitor: Monitor, ms: float | None = None, **more: str) -> None:
    names = {"connection_type": "websocket", "direction": "send", "function_name": "f"}
    error = more.pop("error", None)
    monitor.record(**(names | more), script_name="t", response_time_ms=ms, error=error)  # type: ignore[arg-type]


RATES: list[tuple[str, list[float], float, Rates]] = [
    ("nothing", [], 0.0, Rates()),
    ("the running second is left out", [0.0, 0.5], 0.9, Rates()),
    (
        "a whole second later it counts",
        [0.0, 0.5],
        1.0,
        Rates(events_1s=2, events_10s=0.2, events_60s=2 / 60),
    ),
    ("after 1 s it is no longer in the first", [0.0], 2.0, Rates(events_10s=0.1, events_60s=1 / 60)),
    ("nor after 10 s in the second", [0.0], 11.0, Rates(events_60s=1 / 60)),
    ("the sixtieth second is the last", [0.0], 60.9, Rates(events_60s=1 / 60)),
    ("gone after a minute", [0.0], 61.0, Rates()),
    (
        "each second by itself",
        [0.0, 1.1, 1.2, 5.0, 5.0, 5.0],
        6.0,
        Rates(events_1s=3, events_10s=0.6, events_60s=0.1),
    ),
]


@pytest.mark.parametrize(("at", "read_at", "expected"), [r[1:] for r in RATES], ids=[r[0] for r in RATES])
def test_rates(at: list[float], read_at: float, expected: Rates) -> None:
    clock = Clock()
    monitor = Monitor(clock=clock)
    put(monitor, connection_type="kimi")
    for offset in at:
        clock.now = NOW + offset
        put(monitor)
    clock.now = NOW + read_at
    got = monitor.by_type().get("websocket")
    assert (got.recent.rates if got else Rates()).as_dict() == pytest.approx(expected.as_dict())


def test_errors_have_rates_and_types_and_series_have_their_own() -> None:
    clock = Clock()
    monitor = Monitor(clock=clock)
    for _ in range(3):
        put(monitor, error="boom")
    put(monitor, direction="error", function_name="g")
    put(monitor, connection_type="kimi")
    clock.now += 1
    now = monitor.by_type()
    assert (now["websocket"].recent.rates.events_1s, now["websocket"].recent.rates.errors_1s) == (4, 4)
    assert (now["kimi"].recent.rates.events_1s, now["kimi"].recent.rates.errors_1s) == (1, 0)
    rows = [
        (row.total.connection_type, row.total.function_name, row.total.count, row.recent.rates.errors_1s)
        for row in monitor.by_series()
    ]
    assert rows == [("websocket", "f", 3, 3), ("kimi", "f", 1, 0), ("websocket", "g", 1, 1)]
    assert [row.total.count for row in monitor.by_series(busiest=1)] == [3]
    assert now["websocket"].as_dict()["rates"]["errors_1s"] == 4
    assert now["websocket"].total == monitor.stats()["websocket"]


def test_percentiles_are_of_the_last_minute_and_those_since_the_start_of_all() -> None:
    clock = Clock()
    monitor = Monitor(clock=clock)
    for _ in range(100):
        put(monitor, 1000.0)
    clock.now += 66
    for _ in range(10):
        put(monitor, 1.0)
    (row,) = monitor.by_series()
    assert (row.recent.timed, row.total.timed) == (10, 110)
    assert row.recent.p99_ms == pytest.approx(1.0, rel=RELATIVE_ERROR * 1.01)
    assert row.total.p50_ms == pytest.approx(1000.0, rel=RELATIVE_ERROR * 1.01)
    clock.now += 66
    (row,) = monitor.by_series()
    assert (row.recent.timed, row.recent.p50_ms) == (0, None)


@given(
    st.lists(
        st.tuples(st.floats(0, 130), st.floats(0, 1e6), st.booleans()).map(lambda t: (NOW + t[0], *t[1:])),
        max_size=60,
    ),
    st.floats(0, 200),
)
def test_a_window_holds_what_its_span_says(events: list[tuple[float, float, bool]], after: float) -> None:
    events.sort()
    clock = Clock()
    monitor = Monitor(clock=clock)
    for at, ms, failed in events:
        clock.now = at
        put(monitor, ms, **({"error": "boom"} if failed else {}))
    clock.now = now = max([NOW, *(at for at, _, _ in events)]) + after
    if not events:
        assert monitor.by_type() == {}
        return
    recent = monitor.by_type()["websocket"].recent
    for seconds in (1, 10, 60):
        within = [failed for at, _, failed in events if 1 <= int(now) - int(at) <= seconds]
        assert getattr(recent.rates, f"events_{seconds}s") == pytest.approx(len(within) / seconds)
        assert getattr(recent.rates, f"errors_{seconds}s") == pytest.approx(sum(within) / seconds)
    least, most = ([ms for at, ms, _ in events if at > now - span] for span in (60, 66))
    assert len(least) <= recent.timed <= len(most)
    if recent.timed:
        kept = sorted(ms for at, ms, _ in events if int(now) // 5 - int(at) // 5 <= 12)
        true = kept[max(1, math.ceil(len(kept) * 0.95)) - 1]
        assert recent.p95_ms == pytest.approx(true, rel=RELATIVE_ERROR * 1.01, abs=1e-6)


def test_a_clock_that_is_set_back_breaks_nothing() -> None:
    clock = Clock()
    monitor = Monitor(clock=clock)
    put(monitor, 5.0)
    clock.now -= 3600
    for _ in range(3):
        put(monitor, 7.0)
    clock.now += 1
    (row,) = monitor.by_series()
    assert (row.total.count, row.recent.timed, row.recent.rates.events_1s) == (4, 3, 3)


def test_a_fold_over_many_seconds_counts_each_in_its_own() -> None:
    clock = Clock()
    monitor = Monitor(clock=clock)
    for _ in range(200):  # fewer than make a fold
        clock.now += 1
        put(monitor, 2.0)
    clock.now += 1
    (row,) = monitor.by_series()
    assert row.recent.rates == Rates(events_1s=1, events_10s=1, events_60s=1)
    assert row.total.count == 200
