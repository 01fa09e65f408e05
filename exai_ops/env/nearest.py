"""The known name that a misspelt one was meant to be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

_LONG: Final = 7  # a word from this length may be two letters off, a shorter one one letter
_FEW: Final = 64  # words that are all looked at
_LONGEST: Final = 40


class Names:
    """Known names, so that the one nearest to another is found without looking at all of them.

    Names are compared by words: all but one are the same, and that one is a letter or two off; or the order
    of the words, or the underscores alone differ. So ``EXAI_WS_TOKN`` is near, and ``API_URL`` is not near
    ``API_KEY``, nor ``DB_HOST`` near ``DB_PORT``, nor ``KEY_1`` near ``KEY_2``.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = frozenset(known)
        self._joined = {name.replace("_", ""): name for name in sorted(self._known, reverse=True)}
        self._sorted: dict[tuple[str, ...], str] = {}
        self._pieces: dict[tuple[str, ...], dict[str, list[str]]] = {}
        self._but_one: dict[tuple[str, ...], list[str]] = {}
        for name in sorted(self._known):
            words = name.split("_")
            self._sorted.setdefault(tuple(sorted(words)), name)
            for index in range(len(words)):
                self._but_one.setdefault(_without(words, index), []).append(words[index])

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def nearest(self, name: str) -> str | None:
        """The known name of which this one is a misspelling, or None."""
        words = name.upper().split("_")
        same = self._joined.get("".join(words)) or self._sorted.get(tuple(sorted(words)))
        if same is not None:
            return same
        best: tuple[int, str] | None = None
        for index, word in enumerate(words):
            for other in self._like(_without(words, index), word):
                distance = edits(word, other)
                if distance is not None:
                    found = (distance, "_".join([*words[:index], other, *words[index + 1 :]]))
                    best = found if best is None else min(best, found)
        return None if best is None else best[1]

    def _like(self, rest: tuple[str, ...], word: str) -> Iterable[str]:
        """The words at the same place of the same names that may be near: all of them, when they are few."""
        others = self._but_one.get(rest, [])
        if len(others) <= _FEW:
            return others
        if rest not in self._pieces:
            self._pieces[rest] = {}
            for other in others:
                for piece in _pieces(other):
                    self._pieces[rest].setdefault(piece, []).append(other)
        return {other for piece in _pieces(word) for other in self._pieces[rest].get(piece, ())}


def _pieces(word: str) -> set[str]:
    """The word with up to two letters left out: two words that are two edits apart have one in common."""
    if not word.isalpha() or len(word) > _LONGEST:
        return set()
    once = {word[:i] + word[i + 1 :] for i in range(len(word))}
    return {word} | once | {one[:i] + one[i + 1 :] for one in once for i in range(len(one))}


def _without(words: list[str], index: int) -> tuple[str, ...]:
    return (*words[:index], "", *words[index + 1 :])


def edits(one: str, two: str) -> int | None:
    """Letters added, left out, changed or swapped with a neighbour between two words; None when too many."""
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
