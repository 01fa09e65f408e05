"""Rules about permits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from exai_ops.findings import Status
from exai_ops.monitor.analysis.cube import ERROR, PERMIT, QUEUE
from exai_ops.monitor.analysis.find_errors import LEAK
from exai_ops.monitor.analysis.find_latency import duration
from exai_ops.monitor.analysis.shifts import growth
from exai_ops.monitor.analysis.table import Context, Found, Rule
from exai_ops.monitor.analysis.traffic import Window

GREW: Final = 3.0
LEAST_MS: Final = 200.0
MORE_LOAD: Final = 1.5


def leaks(context: Context) -> Iterable[Found]:
    """Permits that the daemon itself named as leaked."""
    traffic = context.traffic
    series = traffic.numbers(function=LEAK)
    cells = traffic.cells(ERROR, series)
    count = int(cells.counts.sum())
    if not count:
        return
    example = traffic.example(ERROR, series)
    why = f" ({example.error})" if example is not None and example.error else ""
    begin, end = int(cells.bins.min()), int(cells.bins.max()) + 1
    first, last = traffic.span(Window(begin, end))
    said = f"{count} permit{'' if count == 1 else 's'} leaked, the first at {context.at(first)}{why}"
    yield Found("permits", said, count, None, example, begin=first, end=last)


def growing_waits(context: Context) -> Iterable[Found]:
    """Waits for permits that grow while the load does not."""
    traffic = context.traffic
    series = [number for number, key in enumerate(traffic.series) if key[0] != "permits"]
    for kind, called in ((PERMIT, "permit_wait_ms"), (QUEUE, "queue_wait_ms")):
        cells = traffic.cells(kind, series)
        found = growth(cells)
        if found is None or found.after < LEAST_MS or found.after < GREW * found.before:
            continue
        if found.load > MORE_LOAD:
            continue
        said = (
            f"the wait for them ({called}, 75th percentile) grew from {duration(found.before)} to "
            f"{duration(found.after)} over the period, at {found.load:.1f} times the load"
        )
        example = traffic.example(kind, series)
        yield Found("permits", said, found.events, None, example)
        return


RULES: Final = (
    Rule(
        "MON009",
        Status.ERROR,
        "no permit has leaked",
        "exai sem check names the holder and its line; exai status shows what is held now",
        "The daemon records `permit_leak` when a holder can no longer give back: its task is done, its "
        "connection is gone, or its deadline has passed. One is enough.",
        leaks,
    ),
    Rule(
        "MON010",
        Status.WARNING,
        "calls do not wait longer and longer for a permit",
        "exai sem check shows who holds them; if the holders get on, EXAI_WS_GLOBAL_MAX_INFLIGHT is too low"
        " for it",
        "The 75th percentile of the waits (`permit_wait_ms`, else `queue_wait_ms`) of at least 12 "
        "successive windows keeps growing (Mann and Kendall's test, z of 4.5), from the first third to the "
        "last 3 times and to 200 ms, with at most 1.5 times as many calls. That is how lost permits look "
        "before anyone names them.",
        growing_waits,
    ),
)
