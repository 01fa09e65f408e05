"""The summary for a person at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from exai_ops.monitor.analysis.model import length, number, percent
from exai_ops.monitor.analysis.summary import Group, Summary

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_BAR: Final = 40
ROWS: Final = 30


def as_report(summary: Summary, at: Callable[[float], str], *, columns: int = 60) -> str:
    """Overview, table, histogram, curves; ``columns`` is how wide the curves may be."""
    lines = [*_overview(summary, at), "", *_table(summary), ""]
    if summary.histogram:
        lines += ["response times", *_histogram(summary), ""]
    lines += list(_curves(summary, columns))
    return "\n".join(lines) + "\n"


def _overview(summary: Summary, at: Callable[[float], str]) -> Iterator[str]:
    lasted = length(1000 * (summary.last - summary.first))
    stands = f", which stand for {number(summary.weight)}" if summary.weight != summary.events else ""
    yield f"{number(summary.events)} events{stands}, {at(summary.first)} to {at(summary.last)} ({lasted})"
    errors = f"{number(summary.errors)} errors ({percent(summary.errors, summary.weight)})"
    yield errors + (f", {number(summary.limited)} rate limits" if summary.limited else "")


def _table(summary: Summary) -> Iterator[str]:
    heads = [*summary.by, "events", "errors", "bytes", "mean", *(f"p{value:g}" for value in summary.percents)]
    rows = [_cells(group) for group in summary.groups[:ROWS]]
    widths = [max(len(head), *(len(row[i]) for row in rows)) for i, head in enumerate(heads)]
    named = len(summary.by)
    for row in [heads, *rows]:
        cells = (
            cell.ljust(width) if index < named else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
    if len(summary.groups) > ROWS:
        yield f"and {len(summary.groups) - ROWS} more, which --format json has"


def _cells(group: Group) -> list[str]:
    times = [_time(value) for value in (group.mean_ms, *group.percentiles)]
    # A recording's names may hold anything; a line end in one would forge a line of this table.
    shown = ["".join(c if c.isprintable() else repr(c)[1:-1] for c in name) for name in group.names]
    names = [name if len(name) <= 40 else name[:39] + "…" for name in shown]
    return [*names, number(group.events), number(group.errors), size(group.bytes), *times]


def _time(ms: float | None) -> str:
    return "-" if ms is None else length(ms)


def size(count: float) -> str:
    """``512 B``, ``1.5 kB``, ``2.0 MB``, ``3.1 GB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= 0.99995 * factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def _histogram(summary: Summary) -> Iterator[str]:
    most = max(bar.size for bar in summary.histogram)
    total = sum(bar.size for bar in summary.histogram)
    for bar in summary.histogram:
        edge = "above all" if bar.high == float("inf") else f"to {bound(bar.high)}"
        drawn = "█" * round(_BAR * bar.size / most) or ("▏" if bar.size else "")
        yield f"  {edge:>10}  {number(bar.size):>12}  {percent(bar.size, total):>6}  {drawn}".rstrip()


def bound(ms: float) -> str:
    """A bound of the histogram: ``0.5 ms``, ``200 ms``, ``5 s``."""
    return f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:g} s"


def _curves(summary: Summary, columns: int) -> Iterator[str]:
    for name, counts in (("events", summary.events_over_time), ("errors", summary.errors_over_time)):
        if any(counts):
            yield f"{name}  {sparkline(counts, columns)}  most {number(max(counts))}"
    known = [value for value in summary.p95_over_time if value is not None]
    if known:
        yield f"p95     {sparkline(summary.p95_over_time, columns)}  most {length(max(known))}"


def sparkline(values: Sequence[float | None], columns: int) -> str:
    """A line of blocks, the highest for the most; a space where there is nothing."""
    most = max((value for value in values if value is not None), default=0)
    return "".join(_block(value, most) for value in values[:columns])


def _block(value: float | None, most: float) -> str:
    if not value or not most:
        return " "
    return _BLOCKS[min(7, int(8 * value / most))]
