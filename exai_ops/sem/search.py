"""Finds given words in arrays: a table of 16 bits first, then an exact look-up for what it lets pass."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEW: Final = 4
_BLOCK: Final = 1 << 15  # words at a time, so that what is computed of them stays in a cache
_NO: Final = -1
_SEVERAL: Final = -2  # words that share a place in the table


class Search:
    """A set of words to look for."""

    def __init__(self, words: Collection[int]) -> None:
        self.words = np.unique(np.array([w for w in words if 0 <= w < 1 << 64], dtype=np.uint64))
        slots = (self.words >> np.uint64(4)).astype(np.uint16)
        self._table = np.full(1 << 16, _NO, dtype=np.int32)
        self._table[slots] = np.arange(self.words.size, dtype=np.int32)
        self._table[np.flatnonzero(np.bincount(slots, minlength=1 << 16) > 1)] = _SEVERAL
        self._near = self._table != _NO
        self._space = np.empty(_BLOCK, dtype=np.uint64)

    def member(self, array: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """For each word, whether it is looked for."""
        if not self.words.size:
            return np.zeros(array.size, dtype=np.bool_)
        at = np.minimum(np.searchsorted(self.words, array), self.words.size - 1)
        return np.asarray(self.words[at] == array)

    def hits(self, array: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Indices of the words that are looked for, in order."""
        return self.sought(array)[0]

    def sought(self, array: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Indices of the words that are looked for, in order, and which of ``words`` each is."""
        if not self.words.size or not array.size:
            return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
        if self.words.size <= _FEW:
            return self._one_by_one(array)
        found = [
            (at + start, which)
            for start in range(0, array.size, _BLOCK)
            for at, which in (self._block(array[start : start + _BLOCK]),)
            if at.size
        ]
        if not found:
            return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
        return np.concatenate([at for at, _ in found]), np.concatenate([which for _, which in found])

    def _one_by_one(self, array: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        parts = [np.flatnonzero(array == word) for word in self.words]
        at = np.concatenate(parts)
        which = np.repeat(np.arange(len(parts)), [part.size for part in parts])
        order = np.argsort(at, kind="stable")
        return at[order], which[order]

    def _block(self, block: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        slots = np.right_shift(block, 4, out=self._space[: block.size]).view(np.uint16)[::4]
        near = np.flatnonzero(self._near[slots])
        values = block[near]
        which = self._table[slots[near]].astype(np.intp)
        several = np.flatnonzero(which == _SEVERAL)
        if several.size:
            which[several] = np.minimum(np.searchsorted(self.words, values[several]), self.words.size - 1)
        good = self.words[which] == values
        return near[good], which[good]
