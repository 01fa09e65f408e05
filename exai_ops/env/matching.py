"""Which lines of two texts are the same, in near linear time for texts that are mostly alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final, TypeAlias

from exai_ops.env.order import moves

Pair: TypeAlias = tuple[int, int]
Hunk: TypeAlias = list[tuple[str, int, int, int, int]]  # as difflib's opcodes, without "delete" and "insert"

_GAP: Final = 200  # lines between two anchors that are compared one with another; beyond, all are changed


def hunks(old: Sequence[str], new: Sequence[str], context: int = 3) -> Iterator[Hunk]:
    """Groups of changes with up to ``context`` equal lines around them."""
    hunk: Hunk = []
    for tag, i1, i2, j1, j2 in _opcodes(old, new):
        if tag == "replace":
            hunk.append((tag, i1, i2, j1, j2))
        elif not hunk:
            start = max(i1, i2 - context)
            hunk = [(tag, start, i2, start + j1 - i1, j2)]
        elif i2 - i1 > 2 * context:
            yield [*hunk, (tag, i1, i1 + context, j1, j1 + context)]
            hunk = [(tag, i2 - context, i2, j2 - context, j2)]
        else:
            hunk.append((tag, i1, i2, j1, j2))
    if any(tag == "replace" for tag, *_ in hunk):
        tag, i1, i2, j1, j2 = hunk[-1]
        cut = min(context, i2 - i1)
        yield hunk if tag == "replace" else [*hunk[:-1], (tag, i1, i1 + cut, j1, j1 + cut)]


def _opcodes(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """Stretches that are equal and stretches that are not, by turns."""
    i = j = start = 0
    for a, b in [*_matches(old, new), (len(old), len(new))]:
        if (a, b) != (i, j):
            if i > start:
                yield "equal", start, i, start + j - i, j
            yield "replace", i, a, j, b
            start = a
        i, j = a + 1, b + 1
    if len(old) > start:
        yield "equal", start, len(old), len(new) - len(old) + start, len(new)


def _matches(old: Sequence[str], new: Sequence[str]) -> Iterator[Pair]:
    """Equal lines, in order: those that stand once in each text first, then what lies between them."""
    i = j = 0
    for a, b in [*_anchors(old, new), (len(old), len(new))]:
        yield from _between(old, new, (i, a), (j, b))
        if a < len(old):
            yield a, b
        i, j = a + 1, b + 1


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[Pair]:
    once_old, once_new = _once(old), _once(new)
    have = [line for line in once_old if line in once_new]
    moved = set(moves(have, sorted(have, key=once_new.__getitem__)))
    return [(once_old[line], once_new[line]) for line in have if line not in moved]


def _once(lines: Sequence[str]) -> dict[str, int]:
    """Lines that stand there once, to where."""
    counts = Counter(lines)
    return {line: index for index, line in enumerate(lines) if counts[line] == 1}


def _between(old: Sequence[str], new: Sequence[str], one: Pair, two: Pair) -> Iterator[Pair]:
    """Equal lines of two gaps."""
    (i, a), (j, b) = one, two
    while i < a and j < b and old[i] == new[j]:
        yield i, j
        i, j = i + 1, j + 1
    tail = 0
    while a - tail > i and b - tail > j and old[a - tail - 1] == new[b - tail - 1]:
        tail += 1
    if 0 < a - tail - i <= _GAP and 0 < b - tail - j <= _GAP:
        matcher = SequenceMatcher(None, old[i : a - tail], new[j : b - tail], autojunk=False)
        for block in matcher.get_matching_blocks():
            yield from ((i + block.a + n, j + block.b + n) for n in range(block.size))
    yield from ((a - n, b - n) for n in range(tail, 0, -1))
