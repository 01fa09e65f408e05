"""What ``exai monitor stats`` shows: a table, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from exai_ops.commands.monitor.clock import Clock
from exai_ops.commands.monitor.lines import clean, duration, size
from exai_ops.monitor.state_stats import by_type_alone, rows_of, untold, with_lately
from exai_ops.monitor.stats import KEYS, Counted, Row, joined, ordered
from exai_ops.monitor.wire import Filter, State
from exai_ops.timezones import utc_iso

LEAST_NAME: Final = 14
WHOLE_NAME: Final = 30
"""Up to here names are worth more than ``_DISPENSABLE`` columns."""
_GAP: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is shown.

    Attributes:
        live: Whether it is a daemon's.
        exact: Whether it is of what a daemon has counted; else of the events that are kept.
        begin_s, end_s: The time it tells of; None without an event.
        untold: Events of the series that the daemon does not tell of.
    """

    live: bool
    exact: bool
    by: Sequence[str]
    rows: Sequence[Row]
    total: Row
    begin_s: float | None
    end_s: float | None
    untold: int = 0

    @property
    def seconds(self) -> float:
        """How long that is."""
        return 0.0 if self.begin_s is None or self.end_s is None else max(0.0, self.end_s - self.begin_s)


def of_state(state: State, minute: Counted | None, by: Sequence[str], order: str, wanted: Filter) -> Report:
    """Of what a daemon has counted; ``minute`` counts the events of its last minute."""
    rows = rows_of(state, by, wanted)
    if minute is not None:
        rows = with_lately(rows, minute)
    return Report(
        live=True,
        exact=True,
        by=by,
        rows=ordered(rows, order),
        total=joined(rows),
        begin_s=state.started_at,
        end_s=state.time,
        untold=0 if by_type_alone(by, wanted) else untold(state),
    )


def of_events(
    counted: Counted, by: Sequence[str], order: str, *, live: bool, begin_s: float | None, end_s: float
) -> Report:
    """Of events; without ``begin_s`` from the first one on, to the last one where no daemon is there."""
    last_s = counted.last if counted.last is None or not live else end_s
    return Report(
        live=live,
        exact=False,
        by=by,
        rows=ordered(counted.rows(), order),
        total=counted.total(),
        begin_s=counted.first if begin_s is None else begin_s,
        end_s=last_s,
    )


def needs_events(by: Sequence[str], wanted: Filter) -> bool:
    """Whether a daemon's state leaves percentiles open that the events of its last minute tell."""
    return not by_type_alone(by, wanted) and set(by) != set(KEYS)


def as_json(report: Report) -> str:
    """All that is known of it."""
    ends = (report.begin_s, report.end_s)
    since, until = (None if at is None else utc_iso(at) for at in ends)
    return json.dumps(
        {
            "schema_version": 1,
            "source": "daemon" if report.live else "disk",
            "exact": report.exact,
            "since": since,
            "until": until,
            "by": list(report.by),
            "total": _with_rate(report, report.total),
            "rows": [_with_rate(report, row) for row in report.rows],
            "untold_events": report.untold,
        },
        indent=2,
    )


def _with_rate(report: Report, row: Row) -> dict[str, object]:
    rate = row.events / report.seconds if report.seconds else None
    return row.as_dict(report.by if row.key else ()) | {"events_per_s": rate}


# --- the table ------------------------------------------------------------------------------

Column: TypeAlias = tuple[str, int, Callable[[Row], str]]


def as_text(report: Report, clock: Clock, width: int, *, colour: bool) -> str:
    """Tables within ``width`` columns; rows with errors are red where there is colour."""
    if not report.rows:
        return "no events\n"
    rows = [*report.rows, *([report.total] if len(report.rows) > 1 else [])]
    parts = ["\n".join(_table(rows, _whole(report), width, _over(report, clock), colour=colour))]
    if any(row.rates for row in rows):
        parts.append("\n".join(_table(rows, _LATELY, width, "last minute", colour=colour)))
    if report.untold:
        parts.append(f"without {report.untold:,} events of series that are not among the busiest")
    return "\n\n".join(parts) + "\n"


def _over(report: Report, clock: Clock) -> str:
    if report.begin_s is None or report.end_s is None:
        return "events"
    begin, end = clock.at(report.begin_s), clock.at(report.end_s)
    if report.exact:
        return f"since the start, {begin.date} {begin.time[:8]} {begin.zone}"
    date = "" if end.date == begin.date else f"{end.date} "
    return f"{begin.date} {begin.time[:8]} {begin.zone} to {date}{end.time[:8]} {end.zone}"


def _whole(report: Report) -> Sequence[Column]:
    """In the order in which they stand; see ``_DISPENSABLE``."""

    def per_s(row: Row) -> str:
        return _rate(row.events / report.seconds) if report.seconds else ""

    return (
        ("events", 8, lambda row: f"{row.events:,}"),
        ("/s", 6, per_s),
        ("errors", 6, lambda row: f"{row.errors:,}" if row.errors else "-"),
        ("err%", 5, lambda row: f"{100 * row.error_share:.1f}" if row.errors else ""),
        ("sent", 8, lambda row: size(row.sent_bytes)),
        ("received", 8, lambda row: size(row.received_bytes)),
        ("mean", 8, lambda row: _ms(row.mean_ms)),
        ("p50", 8, lambda row: _ms(row.whole.p50_ms)),
        ("p95", 8, lambda row: _ms(row.whole.p95_ms)),
        ("p99", 8, lambda row: _ms(row.whole.p99_ms)),
        ("open", 4, lambda row: "" if row.active is None else str(row.active)),
    )


_LATELY: Final[Sequence[Column]] = (
    ("1 s", 6, lambda row: _rate(row.rates.events_1s) if row.rates else ""),
    ("10 s", 6, lambda row: _rate(row.rates.events_10s) if row.rates else ""),
    ("60 s", 6, lambda row: _rate(row.rates.events_60s) if row.rates else ""),
    ("err/s", 6, lambda row: _rate(row.rates.errors_60s) if row.rates else ""),
    ("p50", 8, lambda row: _ms(row.lately.p50_ms)),
    ("p95", 8, lambda row: _ms(row.lately.p95_ms)),
    ("p99", 8, lambda row: _ms(row.lately.p99_ms)),
)
_DISPENSABLE: Final = ("/s", "received", "sent", "mean", "err%")
"""What is left out first where there is no room."""


def _table(
    rows: Sequence[Row], columns: Sequence[Column], width: int, title: str, *, colour: bool
) -> Iterator[str]:
    names = [clean(" ".join(row.key)) or "all" for row in rows]
    cells = {column[0]: [column[2](row) for row in rows] for column in columns}
    widths = {
        name: max(least, *map(len, cells[name])) + _GAP for name, least, _ in columns if any(cells[name])
    }
    longest = max(map(len, names))
    for name in _DISPENSABLE:
        if min(longest, WHOLE_NAME) + sum(widths.values()) > width:
            widths.pop(name, None)
    room = min(longest, max(LEAST_NAME, width - sum(widths.values())))
    yield _paint("2", title, colour=colour)
    yield " " * room + "".join(name.rjust(width_) for name, width_ in widths.items())
    for n, row in enumerate(rows):
        line = _cut(names[n], room).ljust(room) + "".join(
            cells[name][n].rjust(w) for name, w in widths.items()
        )
        yield _paint("31" if row.errors else "", line.rstrip(), colour=colour)


def _rate(per_s: float) -> str:
    if not per_s:
        return "-"
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.1f}" if per_s >= 0.1 else f"{per_s:.3f}"


def _ms(ms: float | None) -> str:
    return "" if ms is None else duration(ms)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _paint(code: str, text: str, *, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code else text
