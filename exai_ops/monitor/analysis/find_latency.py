"""Rules about how long things take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import sqrt
from typing import Final

from exai_ops.findings import Status
from exai_ops.monitor.analysis.cube import MS
from exai_ops.monitor.analysis.shifts import shift
from exai_ops.monitor.analysis.table import Context, Found, Rule
from exai_ops.monitor.analysis.traffic import Spread, Traffic

NOT_TIMED: Final = ("error", "reject", "rate_limit", "connect", "disconnect")
"""Directions whose durations say how soon something failed."""
LEAST_MS: Final = 2.0
"""A level that rises by less is of no account."""
TAIL_LEAST: Final = 500
TAIL_RATIO: Final = 12.0
TAIL_MS: Final = 100.0
_LEVELS: Final = ((50.0, "median", 20), (90.0, "90th percentile", 50))


def _functions(traffic: Traffic) -> Iterator[tuple[str, str, Sequence[int]]]:
    """Each type and function with its series that tell a duration."""
    for name, function in sorted({key[:2] for key in traffic.series if key[0] != "permits"}):
        series = traffic.numbers(name, function, but=NOT_TIMED)
        if series:
            yield name, function, series


def latency_shifts(context: Context) -> Iterable[Found]:
    """Stretches in which a function takes longer than otherwise."""
    traffic = context.traffic
    for name, function, series in _functions(traffic):
        cells = traffic.cells(MS, series)
        for percent, called, least in _LEVELS:
            found = shift(cells, percent, least)
            if found is None or found.after - found.before < LEAST_MS:
                continue
            said = (
                f"its {called} rose from {duration(found.before)} to {duration(found.after)}, "
                f"{found.after / max(found.before, 1e-3):.1f} times, {context.when(found.window)} "
                f"({found.events} calls)"
            )
            example = traffic.example(MS, series, found.window)
            yield Found(
                f"{name}/{function}",
                said,
                found.events,
                found.window,
                example,
                _hint(name, example and example.request),
            )
            break


def _hint(name: str, request: str | None) -> str:
    follow = f"exai monitor top shows whether {name} is slow now"
    return follow if not request else f"exai monitor trace {request} shows where its time went; {follow}"


def slow_tails(context: Context) -> Iterable[Found]:
    """Functions of which some calls take many times as long as most."""
    traffic = context.traffic
    for name, function, series in _functions(traffic):
        spread = traffic.spread(MS, series)
        events = int(traffic.cells(MS, series).counts.sum())
        if events < TAIL_LEAST:
            continue
        # Three standard deviations below the 99th percentile's rank: so few calls may have it by chance.
        surely = spread.percentile(99 - 300 * sqrt(0.99 * 0.01 / events)) or 0.0
        p50, p99 = spread.percentile(50) or 0.0, spread.percentile(99) or 0.0
        if surely < TAIL_RATIO * max(p50, 1e-3) or p99 < TAIL_MS:
            continue
        slow = _above(spread, TAIL_RATIO * p50) * events // max(1, spread.size)
        said = (
            f"p99 is {duration(p99)}, {p99 / max(p50, 1e-3):.0f} times the median of {duration(p50)}; "
            f"{slow} of {events} calls took more than {TAIL_RATIO:.0f} times the median"
        )
        example = traffic.example(MS, series)
        only = f"--type {name} --function {function} --slower {TAIL_RATIO * p50:.0f}ms"
        hint = f"exai monitor tail {only} shows them"
        yield Found(f"{name}/{function}", said, slow, None, example, hint)


def _above(spread: Spread, limit: float) -> int:
    return int(spread.counts[spread.values > limit].sum())


def duration(ms: float) -> str:
    """Milliseconds as a person reads them: ``0.4 ms``, ``12 ms``, ``3.1 s``."""
    if ms >= 10_000:
        return f"{ms / 1000:.0f} s"
    if ms >= 1_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.2g} ms"


RULES: Final = (
    Rule(
        "MON003",
        Status.WARNING,
        "what a function takes keeps its level",
        "exai monitor trace REQUEST shows where a call's time went",
        "The medians (and 90th percentiles) of successive windows of at least 20 (50) calls: the stretch "
        "whose ranks lie furthest from the rest is a shift when it is 1.5 times and 2 ms slower, 8 standard"
        " errors out of the windows' own scatter, when its calls are slower one by one (62 % of pairs), and"
        " when neither a curve over time nor the load explains it nearly as well. Errors are left aside: "
        "they fail fast.",
        latency_shifts,
    ),
    Rule(
        "MON004",
        Status.WARNING,
        "the slowest calls of a function are of the order of the others",
        "exai monitor tail --slower 5s shows them",
        "Of at least 500 calls, p99 is surely (3 standard deviations of its rank) 12 times the median and "
        "100 ms. Models that answer at length reach 6 to 8; more is a second kind of call behind one name, "
        "a retry after a timeout, a cold start, or a wait for a permit.",
        slow_tails,
    ),
)
