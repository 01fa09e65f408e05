"""The known name that a misspelt one was meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_LONG: Final = 7  # a word from this length may be two letters off, from 4 on one


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name of which this one is a misspelling, or None.

    Names are compared by words: all but one are the same, and that one is a letter or two off; or the
    underscores alone differ. So ``EXAI_WS_TOKN`` is near, and ``API_URL`` is not near ``API_KEY``, nor
    ``DB_HOST`` near ``DB_PORT``, nor ``KEY_1`` near ``KEY_2``.
    """
    words, joined = name.upper().split("_"), name.upper().replace("_", "")
    best: tuple[int, str] | None = None
    for other in known:
        distance = _distance(words, joined, other)
        if distance is not None and (best is None or (distance, other) < best):
            best = (distance, other)
    return None if best is None else best[1]


def _distance(words: list[str], joined: str, other: str) -> int | None:
    """How far two names are apart, or None when too far."""
    theirs = other.split("_")
    if abs(len(joined) - len(other) + len(theirs) - 1) > 2:
        return None
    if other.replace("_", "") == joined:
        return 0
    if len(words) != len(theirs):
        return None
    if sorted(words) == sorted(theirs):
        return 1
    pairs = [(a, b) for a, b in zip(words, theirs, strict=True) if a != b]
    return _edits(*pairs[0]) if len(pairs) == 1 else None


def _edits(one: str, two: str) -> int | None:
    """Insertions, deletions, substitutions and swaps of neighbours between two words, as far as allowed."""
    shorter = min(len(one), len(two))
    most = 2 if shorter >= _LONG else 1 if shorter >= 3 else 0
    if abs(len(one) - len(two)) > most or not (one.isalpha() and two.isalpha()):
        return None
    if shorter == 3 and len(one) == len(two) and sorted(one) != sorted(two):
        return None  # URL and URI, MAX and MIN
    rows = [list(range(len(two) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(two, 1):
            cost = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and (a, b) == (two[j - 2], one[i - 2]):
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1] if rows[-1][-1] <= most else None
