"""A histogram in logarithmic buckets, whose percentiles have a stated relative error.

Bucket ``i`` holds the values in ``(g**(i-1), g**i]`` with ``g = (1 + e) / (1 - e)``. Its estimate,
``2 * g**i / (g + 1)``, is then within the relative error ``e`` of each value in it (the bucketing of
DDSketch: Masson, Rim, Lee, VLDB 2019). Buckets are sparse: only those in use take room.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from math import ceil, floor, fsum, inf, log
from typing import Final

RELATIVE_ERROR: Final = 0.02
SMALLEST: Final = 1e-6
"""Values at or below it are estimated as 0."""

_GROWTH: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_SCALE: Final = 1 / log(_GROWTH)
_UNDERFLOW: Final = floor(log(SMALLEST) * _SCALE) - 1


class Histogram:
    """Counts of values; ``count`` and ``sum`` are exact, percentiles within ``RELATIVE_ERROR``.

    Not thread-safe: its owner holds a lock.
    """

    __slots__ = ("_buckets", "count", "sum")

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self._buckets: Counter[int] = Counter()  # counts an iterable in C

    def add(self, value: float) -> None:
        """Count one value. Raises ValueError or OverflowError unless it is finite and at least 0."""
        self.add_all((value,))

    def add_all(self, values: Sequence[float], also: Histogram | None = None) -> None:
        """Count values, in ``also`` too; a few hundred at once cost half as much each.

        Raises ValueError or OverflowError, having counted none, unless all are finite and at least 0.
        """
        if min(values, default=1.0) > SMALLEST:
            scale = _SCALE
            indexes = [ceil(logarithm * scale) for logarithm in map(log, values)]
        else:
            indexes = [_index(value) for value in values]
        added = fsum(values)
        if self.sum + added == inf:
            raise OverflowError("the sum is beyond what a float holds")
        self._take(indexes, added)
        if also is not None:
            also._take(indexes, added)  # noqa: SLF001 of its own class

    def add_times(self, value: float, times: int) -> None:
        """Count one value ``times`` times, at the price of one. Raises as ``add`` does."""
        index, added = _index(value), value * times
        if self.sum + added == inf:
            raise OverflowError("the sum is beyond what a float holds")
        self.sum += added
        self.count += times
        self._buckets[index] += times

    def _take(self, indexes: Sequence[int], added: float) -> None:
        self.sum += added
        self.count += len(indexes)
        self._buckets.update(indexes)

    def merge(self, other: Histogram) -> None:
        """Add all that another histogram has counted."""
        self.count += other.count
        self.sum += other.sum
        self._buckets.update(other._buckets)

    @property
    def mean(self) -> float | None:
        """Exact mean, None when empty."""
        return self.sum / self.count if self.count else None

    def percentile(self, percent: float) -> float | None:
        """Estimate of the least value that at least ``percent`` of all do not exceed; None when empty."""
        return self.percentiles((percent,))[0]

    def percentiles(self, percents: Sequence[float]) -> list[float | None]:
        """One estimate per percent (0 to 100), in one pass over the buckets."""
        if not self.count:
            return [None] * len(percents)
        indexes = sorted(self._buckets)
        reached = list(accumulate(self._buckets[index] for index in indexes))
        return [self._at_rank(percent, indexes, reached) for percent in percents]

    def _at_rank(self, percent: float, indexes: list[int], reached: list[int]) -> float:
        rank = max(1, ceil(self.count * percent / 100))
        return _estimate(indexes[bisect_left(reached, rank)])

    def cumulative(self, bounds: Sequence[float]) -> list[int]:
        """How many values do not exceed each bound, each value taken at its estimate.

        For the ``le`` buckets of an exposition; infinity counts them all.
        """
        estimates = [(_estimate(index), count) for index, count in self._buckets.items()]
        return [sum(count for estimate, count in estimates if estimate <= bound) for bound in bounds]


def _index(value: float) -> int:
    if value > SMALLEST:
        return ceil(log(value) * _SCALE)
    if value >= 0:
        return _UNDERFLOW
    raise ValueError(f"{value} is not a number of at least 0")


def _estimate(index: int) -> float:
    return 0.0 if index == _UNDERFLOW else float(2 * _GROWTH**index / (_GROWTH + 1))
