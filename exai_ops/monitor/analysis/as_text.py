"""The report for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from exai_ops.monitor.analysis import words
from exai_ops.monitor.analysis.decoding import Source
from exai_ops.monitor.analysis.report import Group, Report
from exai_ops.monitor.analysis.table import one_line

ROWS: Final = 30
_BAR: Final = 40
_COLOURS: Final = {"error": "31", "warning": "33", "info": "36"}
_NAME_MAX: Final = 40


def as_text(report: Report, begin: str, end: str, *, colour: bool = False) -> str:
    """Overview, table, histogram and findings; ``begin`` and ``end`` as they are shown."""
    paint = _painted if colour else _plain
    parts = [
        _overview(report, begin, end),
        _over_time(report),
        _table(report),
        _histogram(report),
        _findings(report, paint),
    ]
    return "\n\n".join("\n".join(part) for part in map(list, parts) if part) + "\n"


def _overview(report: Report, begin: str, end: str) -> list[str]:
    lines = [_source(source) for source in report.sources]
    rate = report.weighted_events / report.seconds if report.seconds else 0.0
    sampled = ""
    if report.sampled_events:
        kept = words.number(report.events)
        sampled = f" ({kept} kept, {words.number(report.sampled_events)} of them stand for several)"
    lines.append(f"{begin} to {end} ({words.seconds(report.seconds)})")
    lines.append(
        f"{words.number(report.weighted_events)} events{sampled}, {rate:.3g}/s; "
        f"{words.number(report.errors)} errors ({words.share(report.errors, report.weighted_events)}); "
        f"{words.size(report.data_size_bytes)}"
    )
    return lines


def _source(source: Source) -> str:
    more = f", {words.number(source.left_out)} left out by the filter" if source.left_out else ""
    if source.skipped:
        more += f", {words.number(source.skipped)} skipped (first: {source.first_skip})"
    return one_line(f"{source.name}: {source.form}, {words.number(source.events)} events{more}")


def _over_time(report: Report) -> list[str]:
    if len(report.over_time) < 2:
        return []
    lines = [f"events  {words.sparkline(report.over_time)}  {words.seconds(report.slot_s)} a column"]
    if any(report.errors_over_time):
        lines.append(f"errors  {words.sparkline(report.errors_over_time)}")
    return lines


def _table(report: Report) -> list[str]:
    heads = [*report.by, "events", "errors", "size", "mean", *(f"p{p}" for p in report.percents), "over time"]
    shown = report.groups[:ROWS]
    rows = [[*_names(group), *_cells(group), words.sparkline(_thirds(group.over_time))] for group in shown]
    lines = _aligned([heads, *rows], len(report.by))
    if len(report.groups) > ROWS:
        lines.append(f"... and {len(report.groups) - ROWS} more; --format json has all")
    return lines


def _names(group: Group) -> list[str]:
    return [one_line(name)[:_NAME_MAX] or "-" for name in group.by.values()]


def _cells(group: Group) -> list[str]:
    return [
        words.number(group.events),
        words.number(group.errors) if group.errors else "-",
        words.size(group.data_size_bytes),
        words.ms(group.mean_ms),
        *(words.ms(value) for value in group.percentiles.values()),
    ]


def _thirds(values: Sequence[int]) -> list[int]:
    return [sum(values[n : n + 3]) for n in range(0, len(values), 3)]


def _aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Columns apart by two spaces; the first ``left`` and the last to the left, the others to the right."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    last = len(widths) - 1
    return [
        "  ".join(
            cell.ljust(width) if n < left or n == last else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _histogram(report: Report) -> list[str]:
    if not report.histogram:
        return []
    top = max(bar.events for bar in report.histogram)
    lines = ["response times"]
    for bar in report.histogram:
        length = round(_BAR * bar.events / top) if bar.events else 0
        drawn = "█" * length or ("▏" if bar.events else "")
        lines.append(
            f"{'up to ' + words.ms(bar.to_ms):>15}  {drawn:<{_BAR}}  {words.number(bar.events)}".rstrip()
        )
    return lines


def _findings(report: Report, paint: Callable[[str, str], str]) -> Iterable[str]:
    if not report.findings:
        yield "nothing found"
    for one in report.findings:
        yield f"{paint(one.status, f'{one.status:<8}')}{one.code}  {one.message}"
        yield f"{'':<8}hint: {one.hint}"
    counts = [
        f"{n} {status}{'s' if n > 1 and status != 'info' else ''}" for status, n in report.summary.items()
    ]
    yield ", ".join(counts)


def _painted(status: str, text: str) -> str:
    return f"\x1b[{_COLOURS.get(status, '0')}m{text}\x1b[0m"


def _plain(_status: str, text: str) -> str:
    return text
