"""One screen: which parts it has room for, and its lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from exai_ops.monitor.screen import panels
from exai_ops.monitor.screen.panels import Link
from exai_ops.monitor.screen.state import History, Now
from exai_ops.monitor.screen.table import holders, table
from exai_ops.monitor.screen.text import Line, cell, fitted, width
from exai_ops.monitor.screen.view import KEYS, View

HOLDERS: Final = 3
ALERTS: Final = 3
_HINTS: Final = ("q quit", "h help", "p pause", "s sort", "/ filter", "t {other}", "r reverse", "1-4 tables")


@dataclass(frozen=True, slots=True)
class Drawn:
    """Lines from the top, and how many rows of the table (or the help) fit of how many there are."""

    lines: list[Line]
    page: int
    rows: int


@dataclass(slots=True)
class _Parts:
    """The parts in the order they are shown."""

    notice: list[Line] = field(default_factory=list)
    rates: list[Line] = field(default_factory=list)
    load: list[Line] = field(default_factory=list)
    counters: list[Line] = field(default_factory=list)
    alerts: list[Line] = field(default_factory=list)
    permits: list[Line] = field(default_factory=list)
    holders: list[Line] = field(default_factory=list)

    def lines(self) -> list[Line]:
        return [line for name in self.__slots__ for line in getattr(self, name)]


def draw(
    now: Now | None,
    view: View,
    history: History,
    link: Link,
    clock: Callable[[float], str],
    *,
    columns: int,
    rows: int | None,
) -> Drawn:
    """A screen of exactly ``rows`` lines, none wider than ``columns``; None for all rows and no footer."""
    head = panels.title(now, link, clock, columns)
    note = panels.notice(link)
    if view.help:
        found = _page([head], None, _help(), view, rows)
    elif now is None:
        found = _page([head, *([note] if note else [])], None, [], view, rows)
    else:
        table_head, lines = table(now, view, history, columns)
        wanted = 10_000 if rows is None else rows - 2
        above = _above(now, view, history, note, columns=columns, left=wanted, rows=len(lines))
        if rows is not None and rows - 2 - len(above) < 2:
            found = _page([head, *above], None, [], view, rows)
        else:
            found = _page([head, *above], table_head, lines, view, rows)
    body, page, count, top = found
    if rows is None:
        return Drawn([fitted(line, columns) for line in body], page, count)
    body = body[: rows - 1] if rows > 1 else body[:1]
    body += [[]] * (rows - 1 - len(body))
    if rows > 1:
        body.append(_footer(view, count - page - top, top, columns))
    return Drawn([fitted(line, columns) for line in body], page, count)


def _page(
    above: list[Line], head: Line | None, lines: list[Line], view: View, rows: int | None
) -> tuple[list[Line], int, int, int]:
    """What is above, and the rows scrolled to; how many fit, of how many, from which."""
    fixed = above if head is None else [*above, head]
    page = len(lines) if rows is None else max(0, min(len(lines), rows - 1 - len(fixed)))
    top = 0 if rows is None else max(0, min(view.top, len(lines) - page))
    return [*fixed, *lines[top : top + page]], page, len(lines), top


def _above(
    now: Now, view: View, history: History, note: Line | None, *, columns: int, left: int, rows: int
) -> list[Line]:
    """The parts above the table in ``left`` lines: what matters most first, some for the table, then more."""
    parts = _Parts()

    def give(name: str, lines: list[Line], keep: int) -> None:
        """Lines of a part, as long as ``keep`` are left for the table."""
        nonlocal left
        some = lines[: max(0, left - keep)]
        setattr(parts, name, some)
        left -= len(some)

    firing = panels.alerts(now)
    few = min(rows, 3) + 1
    give("notice", [note] if note else [], 0)
    give("rates", [panels.rates(now, history, columns)], 0)
    give("alerts", _most(firing, ALERTS), min(few, 2))
    give("load", [panels.load(now, history, columns)], min(few, 3))
    give("permits", panels.permits(now, columns), few)
    give("counters", [panels.counters(now, columns)], few)
    if view.table != "holders" and now.permits.holders:
        head, lines = holders(now.permits.holders, columns)
        most = HOLDERS if left < rows + 12 else 10
        if left - few >= 2:
            room = min(most, max(1, left - rows - 2), left - few - 1)
            give("holders", [head, *_most(lines, max(1, room))], few)
    return parts.lines()


def _most(lines: list[Line], most: int) -> list[Line]:
    """At most so many, the last of which says that there are more."""
    if len(lines) <= most:
        return lines
    more = len(lines) - most
    return [*lines[: most - 1], [*lines[most - 1], (f"  +{more} more", "yellow")]]


def _help() -> list[Line]:
    return [[(cell(keys, 20), "bold"), (what, "")] for keys, what in KEYS]


def _footer(view: View, below: int, above: int, columns: int) -> Line:
    """What keys do, or the filter that is typed; at the right how many rows do not fit."""
    more = [f"{below} more ↓"] if below > 0 else []
    more += [f"{above} above ↑"] if above > 0 else []
    right = "  ".join(more)
    room = columns - width(right) - 2 if right else columns
    if view.editing is not None:
        left = f"/{view.filter}_"
        hint = "  Enter keeps, Esc clears"
        shown = left + hint if width(left + hint) <= room else left[-max(1, room) :]
    else:
        shown = f"filter: {view.filter}  " if view.filter else ""
        other = "functions" if view.table == "types" else "types"
        for hint in ("any key goes back", "q quit") if view.help else _HINTS:
            said = hint.format(other=other)
            if width(shown) + len(said) > room:
                break
            shown += said + "  "
    return [(cell(shown, max(0, room)), "dim"), (f"  {right}" if right else "", "yellow")]
