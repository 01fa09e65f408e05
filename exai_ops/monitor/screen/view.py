"""What is chosen on the screen, and what a key changes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

Table: TypeAlias = Literal["types", "functions", "holders", "sessions"]
Sort: TypeAlias = Literal["name", "rate", "events", "errors", "p50", "p95", "p99", "bytes"]

TABLES: Final[tuple[Table, ...]] = ("types", "functions", "holders", "sessions")
SORTS: Final[tuple[Sort, ...]] = ("name", "rate", "events", "errors", "p50", "p95", "p99", "bytes")
FILTER_CHARS: Final = 200

KEYS: Final = (
    ("q", "quit"),
    ("p, space", "hold what is shown; then go on with the newest"),
    ("s, >, <", "sort by the next column, or by the one before"),
    ("r", "reverse the order"),
    ("/", "only rows with all these words; Enter keeps, Esc clears"),
    ("t", "types or functions"),
    ("1 2 3 4", "types, functions, holders of permits, sessions"),
    ("arrows, PgUp, PgDn", "scroll where not all rows fit; Home, End"),
    ("h, ?", "this page"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is chosen.

    Attributes:
        filter: Words that a row must hold.
        editing: The filter before it is edited, None while nobody does.
        top: Rows scrolled by, of the table or of the help.
    """

    table: Table = "types"
    sort: Sort = "rate"
    reverse: bool = False
    filter: str = ""
    editing: str | None = None
    paused: bool = False
    help: bool = False
    top: int = 0
    quit: bool = False


def pressed(view: View, key: str, *, page: int, rows: int) -> View:
    """The view after a key, where ``page`` of ``rows`` rows can be shown."""
    last = max(0, rows - page)
    if key in ("up", "down", "pgup", "pgdn", "home", "end"):
        step = {"up": -1, "down": 1, "pgup": -page, "pgdn": page, "home": -rows, "end": rows}[key]
        return replace(view, top=min(last, max(0, min(view.top, last) + step)))
    if view.editing is not None:
        return _edited(view, key)
    if view.help:
        return replace(view, quit=key == "q", help=False, top=0)
    return _chosen(view, key)


def _edited(view: View, key: str) -> View:
    if key == "enter":
        return replace(view, editing=None)
    if key == "esc":
        return replace(view, editing=None, filter="", top=0)
    if key == "backspace":
        return replace(view, filter=view.filter[:-1], top=0)
    if len(key) == 1 and key.isprintable() and len(view.filter) < FILTER_CHARS:
        return replace(view, filter=view.filter + key, top=0)
    return view


def _chosen(view: View, key: str) -> View:
    turns = {"s": 1, ">": 1, "right": 1, "<": -1, "left": -1}
    if key in turns:
        at = (SORTS.index(view.sort) + turns[key]) % len(SORTS)
        return replace(view, sort=SORTS[at], top=0)
    if key in ("1", "2", "3", "4"):
        return replace(view, table=TABLES[int(key) - 1], top=0)
    changes = _CHANGES.get(key)
    return view if changes is None else replace(view, **changes(view))  # type: ignore[arg-type]


def _other(view: View) -> dict[str, object]:
    return {"table": "functions" if view.table == "types" else "types", "top": 0}


_CHANGES: Final[Mapping[str, Callable[[View], dict[str, object]]]] = {
    "q": lambda _: {"quit": True},
    "p": lambda view: {"paused": not view.paused},
    " ": lambda view: {"paused": not view.paused},
    "r": lambda view: {"reverse": not view.reverse, "top": 0},
    "/": lambda view: {"editing": view.filter},
    "esc": lambda _: {"filter": "", "top": 0},
    "t": _other,
    "h": lambda _: {"help": True, "top": 0},
    "?": lambda _: {"help": True, "top": 0},
}
