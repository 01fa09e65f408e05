"""What was read, in numbers: an overview, a table by chosen names, a histogram, curves over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from exai_ops.errors import UsageError
from exai_ops.monitor.analysis.cube import COUNT, ERROR, MS, THROTTLE, Ints
from exai_ops.monitor.analysis.traffic import Spread, Traffic
from exai_ops.timezones import utc_iso

KEYS: Final = ("type", "function", "direction")
_STEPS: Final = (1, 2, 5)


class Group(NamedTuple):
    """A row of the table. Times are in ms, None without a timed event; weights are counted."""

    names: tuple[str, ...]
    events: int
    errors: int
    limited: int
    bytes: int
    timed: int
    mean_ms: float | None
    percentiles: tuple[float | None, ...]
    over_time: tuple[int, ...]


class Bar(NamedTuple):
    """A bar of the histogram: above ``low``, up to ``high`` ms."""

    low: float
    high: float
    size: int


class Summary(NamedTuple):
    """Everything that a report shows beside the findings."""

    events: int
    weight: int
    errors: int
    limited: int
    first: float
    last: float
    by: tuple[str, ...]
    percents: tuple[float, ...]
    groups: tuple[Group, ...]
    histogram: tuple[Bar, ...]
    events_over_time: tuple[int, ...]
    errors_over_time: tuple[int, ...]
    p95_over_time: tuple[float | None, ...]


def keys_of(text: str) -> tuple[str, ...]:
    """The names that ``--by`` asks for. Raises UsageError."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in KEYS:
            raise UsageError(f"--by: {name!r} is not known", hint=f"any of {', '.join(KEYS)}")
    if not names:
        raise UsageError("--by: names nothing", hint=f"any of {', '.join(KEYS)}")
    return names


def percents_of(text: str) -> tuple[float, ...]:
    """The percentiles that ``--p`` asks for. Raises UsageError."""
    try:
        found = tuple(dict.fromkeys(float(part) for part in text.split(",") if part.strip()))
    except ValueError:
        found = ()
    if not found or len(found) > 10 or not all(0 < value <= 100 for value in found):
        raise UsageError(f"--p: {text!r} is no list of percentiles", hint="50,95,99.9")
    return found


def summarized(traffic: Traffic, by: Sequence[str], percents: Sequence[float], columns: int = 60) -> Summary:
    """The summary; curves have about ``columns`` points."""
    every = list(range(len(traffic.series)))
    at = [KEYS.index(name) for name in by]
    members: dict[tuple[str, ...], list[int]] = {}
    for number, key in enumerate(traffic.series):
        members.setdefault(tuple(key[index] for index in at), []).append(number)
    groups = [_group(traffic, names, series, percents, columns) for names, series in members.items()]
    groups.sort(key=lambda group: (-group.events, group.names))
    return Summary(
        events=traffic.events,
        weight=traffic.weight,
        errors=traffic.weighted(ERROR, every),
        limited=traffic.weighted(THROTTLE, every),
        first=traffic.first,
        last=traffic.last,
        by=tuple(by),
        percents=tuple(percents),
        groups=tuple(groups),
        histogram=histogram(traffic.spread(MS, every)),
        events_over_time=_curve(traffic.over_time(COUNT, every), columns),
        errors_over_time=_curve(traffic.over_time(ERROR, every), columns),
        p95_over_time=_levels(traffic, every, 95, columns),
    )


def _group(
    traffic: Traffic, names: tuple[str, ...], series: list[int], percents: Sequence[float], columns: int
) -> Group:
    spread = traffic.spread(MS, series)
    mean = float(traffic.total_ms[series].sum()) / spread.size if spread.size else None
    return Group(
        names=names,
        events=traffic.weighted(COUNT, series),
        errors=traffic.weighted(ERROR, series),
        limited=traffic.weighted(THROTTLE, series),
        bytes=round(float(traffic.bytes[series].sum())),
        timed=spread.size,
        mean_ms=mean,
        percentiles=tuple(spread.percentile(value) for value in percents),
        over_time=_curve(traffic.over_time(COUNT, series), columns),
    )


def _curve(counts: Ints, columns: int) -> tuple[int, ...]:
    if not len(counts):
        return ()
    step = -(-len(counts) // columns)
    return tuple(np.add.reduceat(counts, np.arange(0, len(counts), step)).tolist())


def _levels(
    traffic: Traffic, series: Sequence[int], percent: float, columns: int
) -> tuple[float | None, ...]:
    """A percentile of response times over time."""
    cells = traffic.cells(MS, series)
    step = max(4, -(-traffic.bins // columns))
    at = cells.bins // step
    order = np.argsort(at, kind="stable")
    cuts = np.searchsorted(at[order], np.arange(-(-traffic.bins // step) + 1))
    found: list[float | None] = []
    for begin, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        rows = order[begin:end]
        found.append(Spread.of(cells.buckets[rows], cells.weights[rows]).percentile(percent))
    return tuple(found)


def histogram(spread: Spread) -> tuple[Bar, ...]:
    """Counts between 1, 2, 5, 10, 20, 50 ... ms, from the first that has any to the last."""
    if not spread.size:
        return ()
    bounds = [step * 10.0**power for power in range(-3, 10) for step in _STEPS]
    at = np.searchsorted(np.array(bounds), spread.values, "left")
    counts = np.bincount(at, spread.counts, len(bounds) + 1).astype(int).tolist()
    some = [index for index, count in enumerate(counts) if count]
    lows, highs = [0.0, *bounds], [*bounds, float("inf")]
    return tuple(Bar(lows[i], highs[i], counts[i]) for i in range(some[0], some[-1] + 1))


def document(summary: Summary) -> dict[str, Any]:
    """The summary as plain data."""
    return {
        "events": summary.events,
        "weighted_events": summary.weight,
        "errors": summary.errors,
        "rate_limits": summary.limited,
        "from": utc_iso(summary.first),
        "to": utc_iso(summary.last),
        "by": list(summary.by),
        "groups": [_row(summary, group) for group in summary.groups],
        "histogram": [
            {"above_ms": bar.low, "to_ms": None if bar.high == float("inf") else bar.high, "count": bar.size}
            for bar in summary.histogram
        ],
        "events_over_time": list(summary.events_over_time),
        "errors_over_time": list(summary.errors_over_time),
        "p95_ms_over_time": [None if v is None else round(v, 4) for v in summary.p95_over_time],
    }


def _row(summary: Summary, group: Group) -> dict[str, Any]:
    shown = {
        f"p{percent:g}_ms": value for percent, value in zip(summary.percents, group.percentiles, strict=True)
    }
    times = {"mean_ms": group.mean_ms} | shown
    return (
        dict(zip(summary.by, group.names, strict=True))
        | {
            "events": group.events,
            "errors": group.errors,
            "rate_limits": group.limited,
            "bytes": group.bytes,
            "timed": group.timed,
        }
        | {name: None if value is None else round(value, 4) for name, value in times.items()}
    )
