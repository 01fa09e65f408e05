"""Rows of figures, and the table that shows them. Pure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

HEADER: Final = ("what", "goal", "here", "met", "ratio", "noise: min, median, max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a figure should be: at most, or at least, a number in the figure's unit."""

    number: float
    least: bool = False

    def met(self, figure: float) -> bool:
        """Whether a figure keeps it."""
        return figure >= self.number if self.least else figure <= self.number


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A row's figures over those of another thing, round by round.

    Attributes:
        of: What they are divided by.
        figures: One ratio for each round; empty when the other thing was not measured.
    """

    of: str
    figures: tuple[float, ...]
    limit: Limit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing measured, once a round.

    Attributes:
        goal: As it is written in the table; ``limit`` is the same for the figure.
        missing: Why there are no figures, or None.
    """

    group: str
    what: str
    unit: str = ""
    goal: str = ""
    figures: tuple[float, ...] = ()
    limit: Limit | None = None
    ratios: tuple[Ratio, ...] = ()
    missing: str | None = None

    @property
    def figure(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.figures)

    @property
    def met(self) -> bool | None:
        """Whether figure and ratios keep their limits; None when there is none, or one cannot be judged."""
        judged = [(self.limit, self.figures), *((ratio.limit, ratio.figures) for ratio in self.ratios)]
        limits = [(limit, figures) for limit, figures in judged if limit is not None]
        if any(figures and not limit.met(statistics.median(figures)) for limit, figures in limits):
            return False
        return True if limits and all(figures for _, figures in limits) else None


def ratio(of: str, ours: Sequence[float], theirs: Sequence[float], limit: Limit | None = None) -> Ratio:
    """Ours over theirs, each round by itself."""
    return Ratio(of=of, figures=tuple(a / b for a, b in zip(ours, theirs, strict=True)), limit=limit)


def markdown(rows: Sequence[Row], notes: Sequence[str]) -> str:
    """The table, with its notes under it."""
    lines = ["| " + " | ".join(HEADER) + " |", "|---|---|--:|---|---|---|"]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)])


def document(rows: Sequence[Row], notes: Sequence[str]) -> dict[str, Any]:
    """The same as data."""
    shown = [dataclasses.asdict(row) | {"met": row.met} for row in rows]
    return {"schema_version": 1, "rows": shown, "notes": list(notes)}


def _cells(row: Row) -> tuple[str, ...]:
    if row.missing is not None:
        return (row.what, row.goal, f"not measured: {row.missing}", "", "", "")
    met = {True: "yes", False: "**no**", None: "not known" if row.goal else ""}[row.met]
    ratios = "; ".join(_ratio(r) for r in row.ratios)
    here = f"{number(row.figure)} {row.unit}".strip()
    return (row.what, row.goal, here, met, ratios, _noise(row))


def _ratio(ratio: Ratio) -> str:
    if not ratio.figures:
        return f"{ratio.of}: not measured"
    return f"{_times(statistics.median(ratio.figures))} of {ratio.of}"


def _noise(row: Row) -> str:
    cells = [_spread(row.figures, number)] + [_spread(r.figures, _times) for r in row.ratios if r.figures]
    return "; ".join(cells) if len(row.figures) > 1 else "one round"


def _spread(figures: Sequence[float], show: Callable[[float], str]) -> str:
    return ", ".join(show(f) for f in (min(figures), statistics.median(figures), max(figures)))


def number(figure: float) -> str:
    """With three digits or so, thousands apart."""
    size = abs(figure)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{figure:,.{digits}f}"


def _times(figure: float) -> str:
    """A ratio: ``1.42 x``, and ``1/52`` where it is small."""
    return f"1/{1 / figure:.1f}" if 0 < figure < 0.2 else f"{number(figure)} x"
