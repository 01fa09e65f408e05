"""The rows of types, functions, holders and sessions: sorted, filtered, in the columns that fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from exai_ops.monitor.screen.state import History, Holder, Now
from exai_ops.monitor.screen.text import Line, Style, age, cell, clean, count, milliseconds, rate, size, spark
from exai_ops.monitor.screen.view import Sort, View
from exai_ops.monitor.wire import Rates, SessionState

NAME_LEAST: Final = 8
SPARK: Final = 20
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One type or function.

    Attributes:
        type_: Its type where it is one, for its history.
        connections: Of a type; None for a function.
    """

    name: str
    type_: str | None
    rates: Rates
    events: int
    errors: int
    sent_bytes: int
    received_bytes: int
    connections: int | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what is at its head, its width, and what it shows; the smaller ``rank`` is, the sooner it is
    shown where not all have room.
    """

    head: str
    width: int
    rank: int
    shown: Callable[[Row, History], str]
    sort: Sort | None = None
    only_types: bool = False


_COLUMNS: Final[Sequence[Column]] = (
    Column("EV/S", 6, 1, lambda row, _: rate(row.rates.events_1s), "rate"),
    Column("10S", 5, 6, lambda row, _: rate(row.rates.events_10s)),
    Column("60S", 5, 7, lambda row, _: rate(row.rates.events_60s)),
    Column("EVENTS", 8, 10, lambda row, _: count(row.events), "events"),
    Column("ERR/S", 5, 4, lambda row, _: rate(row.rates.errors_1s)),
    Column("10S", 5, 11, lambda row, _: rate(row.rates.errors_10s)),
    Column("60S", 5, 8, lambda row, _: rate(row.rates.errors_60s)),
    Column("ERRORS", 7, 2, lambda row, _: count(row.errors), "errors"),
    Column("P50", 7, 9, lambda row, _: milliseconds(row.p50_ms), "p50"),
    Column("P95", 7, 3, lambda row, _: milliseconds(row.p95_ms), "p95"),
    Column("P99", 7, 5, lambda row, _: milliseconds(row.p99_ms), "p99"),
    Column("OPEN", 5, 14, lambda row, _: "-" if row.connections is None else count(row.connections),
           only_types=True),
    Column("BYTES", 9, 12, lambda row, _: size(row.sent_bytes + row.received_bytes), "bytes"),
    Column("RATE, LATELY", SPARK, 13, lambda row, history: spark(history.rate(row.type_), SPARK),
           only_types=True),
    Column("P95, LATELY", SPARK, 15, lambda row, history: spark(history.p95_ms(row.type_), SPARK),
           only_types=True),
)  # fmt: skip

_BY: Final[Mapping[Sort, Callable[[Row], Any]]] = {
    "name": lambda row: row.name,
    "rate": lambda row: (row.rates.events_1s, row.rates.events_10s, row.rates.events_60s),
    "events": lambda row: row.events,
    "errors": lambda row: (row.errors, row.rates.errors_60s),
    "p50": lambda row: -1.0 if row.p50_ms is None else row.p50_ms,
    "p95": lambda row: -1.0 if row.p95_ms is None else row.p95_ms,
    "p99": lambda row: -1.0 if row.p99_ms is None else row.p99_ms,
    "bytes": lambda row: row.sent_bytes + row.received_bytes,
}


def table(now: Now, view: View, history: History, columns: int) -> tuple[Line, list[Line]]:
    """The head and all rows of the table that is chosen, before scrolling."""
    if view.table == "holders":
        return holders(_fitting(now.permits.holders, view, _holder_text), columns)
    if view.table == "sessions":
        return _sessions(_fitting(now.state.sessions, view, lambda one: one.id), columns)
    rows = _fitting(_types(now) if view.table == "types" else _functions(now), view, lambda row: row.name)
    rows.sort(key=_BY["name"])
    if view.sort != "name" or view.reverse:
        rows.sort(key=_BY[view.sort], reverse=(view.sort != "name") != view.reverse)
    return _head(view, columns), [_line(row, view, history, columns) for row in rows]


def _types(now: Now) -> list[Row]:
    return [
        Row(
            name=name,
            type_=name,
            rates=one.rates,
            events=one.total_events,
            errors=one.total_errors,
            sent_bytes=one.total_sent_bytes,
            received_bytes=one.total_received_bytes,
            connections=one.active_connections,
            p50_ms=one.p50_ms,
            p95_ms=one.p95_ms,
            p99_ms=one.p99_ms,
        )
        for name, one in now.state.types.items()
    ]


def _functions(now: Now) -> list[Row]:
    return [
        Row(
            name=f"{one.connection_type} {one.function_name} {one.direction}",
            type_=None,
            rates=one.recent.rates,
            events=one.count,
            errors=one.errors,
            sent_bytes=one.data_size_bytes,
            received_bytes=0,
            connections=None,
            p50_ms=one.recent.p50_ms,
            p95_ms=one.recent.p95_ms,
            p99_ms=one.recent.p99_ms,
        )
        for one in now.functions
    ]


def _fitting(rows: Sequence[T], view: View, text: Callable[[T], str]) -> list[T]:
    """Those that hold all words of the filter, whatever their case."""
    words = view.filter.casefold().split()
    return [row for row in rows if all(word in text(row).casefold() for word in words)]


def _chosen(view: View, columns: int) -> tuple[int, list[Column]]:
    """The width of the name, and the columns that fit beside it: first that which is sorted by."""
    least = NAME_LEAST if columns < 60 else 11 if view.table == "types" else min(34, columns // 3)
    left = columns - least
    usable = [one for one in _COLUMNS if view.table == "types" or not one.only_types]
    kept: list[Column] = []
    for one in sorted(usable, key=lambda one: 0 if one.sort == view.sort else one.rank):
        if one.width + 1 > left:
            break
        left -= one.width + 1
        kept.append(one)
    shown = [one for one in usable if one in kept]
    return least + min(left, 40 if view.table != "types" else 8), shown


def _head(view: View, columns: int) -> Line:
    name, shown = _chosen(view, columns)
    title = "TYPE" if view.table == "types" else "TYPE FUNCTION DIRECTION" if name > 24 else "TYPE"
    down = (view.sort != "name") != view.reverse
    text = cell(title + _mark(view.sort == "name", down=down), name)
    for one in shown:
        head = one.head + _mark(one.sort is not None and one.sort == view.sort, down=down)
        text += " " + cell(head, one.width, right=one.width != SPARK)
    return [(text, "head")]


def _mark(sorted_by: bool, *, down: bool) -> str:
    return ("↓" if down else "↑") if sorted_by else ""


def _line(row: Row, view: View, history: History, columns: int) -> Line:
    name, shown = _chosen(view, columns)
    failing = row.rates.errors_10s > 0
    line: Line = [(cell(row.name, name), "red" if failing else "bold")]
    for one in shown:
        style: Style = "red" if failing and one.head.startswith("ERR") else ""
        line.append((" " + cell(one.shown(row, history), one.width, right=one.width != SPARK), style))
    return line


# --- holders and sessions --------------------------------------------------------------------


def holders(rows: Sequence[Holder], columns: int) -> tuple[Line, list[Line]]:
    """Who holds permits, in the order given."""
    tool, session = (12, 9) if columns >= 60 else (10, 0)
    head = f"{'AGE':>7} {'TOOL':<{tool}} {'PROVIDER':<8} {'SESSION':<{session}.{session}}WHERE"
    lines: list[Line] = []
    for one in rows:
        text = f"{age(one.age_s):>7} {cell(one.tool, tool)} {cell(one.provider or '-', 8)} "
        text += f"{cell(one.session[:8], 8)} " if session else ""
        where = clean(one.site)
        if one.leak:
            lines.append([(f"{text}LEAKED: {clean(one.leak)}  {where}", "red")])
        else:
            lines.append([(text, ""), (where, "dim")])
    return [(cell(head, columns), "head")], lines


def _holder_text(one: Holder) -> str:
    return " ".join((one.tool, one.provider or "", one.session, one.request, one.site, one.leak or ""))


def _sessions(rows: Sequence[SessionState], columns: int) -> tuple[Line, list[Line]]:
    head = f"{'SESSION':<8} {'CLIENT':<6} {'AT WORK':>7} {'QUEUED':>6} {'IDLE':>8}"
    return [(cell(head, columns), "head")], [_session(one) for one in rows]


def _session(one: SessionState) -> Line:
    idle = "-" if one.idle_s is None else age(one.idle_s)
    text = f"{cell(one.id, 8)} {'here' if one.connected else 'gone':<6} {count(one.inflight):>7}"
    return [(f"{text} {count(one.queued):>6} {idle:>8}", "" if one.connected else "dim")]
