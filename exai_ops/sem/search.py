"""Finds given words in arrays: a table of 16 bits first, then an exact look-up for what it lets pass."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEW: Final = 6
_BLOCK: Final = 1 << 15


class Search:
    """A set of words to look for."""

    def __init__(self, words: Collection[int]) -> None:
        self._words = np.unique(np.array([w for w in words if 0 <= w < 1 << 64], dtype=np.uint64))
        self._table = np.zeros(1 << 16, dtype=np.bool_)
        self._table[(self._words >> np.uint64(4)).astype(np.uint16)] = True
        self.low = self._words[0] if self._words.size else np.uint64(0)
        self.high = self._words[-1] if self._words.size else np.uint64(0)

    def member(self, array: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """For each word, whether it is looked for."""
        if not self._words.size:
            return np.zeros(array.size, dtype=np.bool_)
        at = np.minimum(np.searchsorted(self._words, array), self._words.size - 1)
        return np.asarray(self._words[at] == array)

    def hits(self, array: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Indices of the words that are looked for, in order."""
        if not self._words.size or not array.size:
            return np.empty(0, dtype=np.intp)
        if self._words.size <= _FEW:
            parts = [np.flatnonzero(array == word) for word in self._words]
            return parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))
        found: list[NDArray[np.intp]] = []
        for start in range(0, array.size, _BLOCK):
            block = array[start : start + _BLOCK]
            near = np.flatnonzero((block - self.low) <= (self.high - self.low))
            if not near.size:
                continue
            values = block[near]
            passed = self._table[(values >> np.uint64(4)).astype(np.uint16)]
            near, values = near[passed], values[passed]
            if near.size:
                at = np.searchsorted(self._words, values)
                found.append(near[self._words[at] == values] + start)
        return np.concatenate(found) if found else np.empty(0, dtype=np.intp)
