"""Rules on how long things take: shifts, tails, waits for permits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exai_ops.monitor.analysis.cube import ERROR, MS, PERMIT, QUEUE
from exai_ops.monitor.analysis.model import Found, View, length, number, told
from exai_ops.monitor.analysis.shifts import Shift, growth, shift
from exai_ops.monitor.filters import FAILURES

LEAST_GAIN_MS: Final = 2.0
TAIL_EVENTS: Final = 500
TAIL_RATIO: Final = 25.0
TAIL_MS: Final = 100.0
TAIL_BEYOND: Final = 8
"""Events that must lie beyond the ratio, whatever the percentile says."""
GROWS: Final = 3.0
GROWN_MS: Final = 100.0


def latency_shifts(view: View) -> Iterator[Found]:
    """Series whose median changes its level within the period."""
    for numbers, name, hint in _timed(view):
        found = _shift(view, numbers)
        if found is None:
            continue
        example = view.example(MS, [numbers], found.window)
        message = (
            f"{name}: median {length(found.after)} {view.when(found.window)}, {length(found.before)} else; "
            f"{number(found.events)} events{told(example)}"
        )
        evidence = view.times(found.window) | {
            "before_ms": round(found.before, 3),
            "after_ms": round(found.after, 3),
            "events": found.events,
            "z": round(found.z, 1),
        }
        yield Found(message, hint, name, evidence | example)


def slow_tails(view: View) -> Iterator[Found]:
    """Series whose p99 is far from the median, with enough events to say so."""
    for numbers, name, hint in _timed(view):
        spread = view.traffic.spread(MS, [numbers])
        p50, p99 = spread.percentile(50), spread.percentile(99)
        if p50 is None or p99 is None or spread.size < TAIL_EVENTS or p99 < max(TAIL_MS, TAIL_RATIO * p50):
            continue
        beyond = int(spread.counts[spread.values > TAIL_RATIO * p50].sum())
        if beyond < TAIL_BEYOND or _shift(view, numbers) is not None:
            continue
        example = view.example(MS, [numbers])
        message = (
            f"{name}: p99 {length(p99)} is {p99 / max(p50, 1e-3):.0f} times the median {length(p50)}, "
            f"of {number(spread.size)} events"
        )
        evidence = {"p50_ms": round(p50, 3), "p99_ms": round(p99, 3), "events": spread.size, "beyond": beyond}
        yield Found(message + told(example), hint, name, evidence | example)


def waits_grow(view: View) -> Iterator[Found]:
    """Waiting for permits, or in the queue, that keeps growing over the period."""
    for kind, what in ((PERMIT, "permits"), (QUEUE, "their turn in the queue")):
        every = view.traffic.numbers(lambda type_, _function, _direction: type_ != "permits")
        series = every if len(view.traffic.cells(kind, every).bins) else range(len(view.traffic.series))
        found = growth(view.traffic.cells(kind, list(series)))
        if found is None or found.after < GROWN_MS or found.after < GROWS * found.before:
            continue
        example = view.example(kind, list(series))
        message = (
            f"calls wait ever longer for {what}: a quarter {length(found.before)} or more at first, "
            f"{length(found.after)} at last, with {found.load:.1f} times as many calls"
        )
        evidence = {
            "before_ms": round(found.before, 3),
            "after_ms": round(found.after, 3),
            "events": found.events,
            "load": round(found.load, 3),
        }
        hint = "exai sem check says who holds them; if none is lost, raise EXAI_WS_GLOBAL_MAX_INFLIGHT"
        yield Found(message + told(example), hint, "permits", evidence | example)


def permit_leaks(view: View) -> Iterator[Found]:
    """What the daemon itself named a leak."""
    series = view.traffic.numbers(lambda _type, function, _direction: function == "permit_leak")
    count = view.traffic.weighted(ERROR, series)
    if count:
        example = view.example(ERROR, series)
        message = f"the daemon has named {count} leaked permit{'' if count == 1 else 's'}{told(example)}"
        yield Found(message, "exai sem check", "permit_leak", {"count": count} | example)


def _shift(view: View, series: int) -> Shift | None:
    found = shift(view.traffic.cells(MS, [series]))
    return None if found is None or found.after - found.before < LEAST_GAIN_MS else found


def _timed(view: View) -> Iterator[tuple[int, str, str]]:
    """Series of what went well, their names, and the command that shows them."""
    for series, (type_, function, direction) in enumerate(view.traffic.series):
        if direction not in FAILURES:
            yield (
                series,
                f"{type_} {function}",
                f"exai monitor tail --type {type_} --function {function} --slower 1s",
            )
