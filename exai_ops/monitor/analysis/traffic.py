"""What was counted, as the rules look at it: arrays over time, and distributions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from exai_ops.monitor.analysis.cube import (
    BIN_AT,
    BINS_PER_S,
    COARSE,
    COUNT,
    GROWTH,
    KIND_AT,
    LIFE,
    MS,
    OFFSET,
    PERMIT,
    QUEUE,
    SERIES_AT,
    Bools,
    Cube,
    Example,
    Floats,
    Ints,
    SeriesKey,
)

HISTOGRAMS: Final = (MS, PERMIT, QUEUE, LIFE)


class Window(NamedTuple):
    """Bins from ``begin`` to before ``end``."""

    begin: int
    end: int


class Cells(NamedTuple):
    """Cells of one kind, a row each, by time."""

    bins: Ints
    series: Ints
    buckets: Ints
    counts: Ints
    weights: Ints


class Traffic:
    """All that was counted.

    Attributes:
        width_s: Of a bin. Bins are numbered from 0, at ``begin_s`` since the epoch.
        series: Type, function, direction of each series, by its number.
        events: As they were read; ``weight`` is how many these stand for.
        first, last: Of all timestamps.
        backwards: How often time went back, by any amount.
    """

    def __init__(self, cube: Cube) -> None:
        cube.settle()
        self.width_s = 2.0**cube.shift / BINS_PER_S
        self.series: list[SeriesKey] = list(cube.ids)
        self.events, self.sampled = cube.events, cube.sampled
        self.first, self.last = cube.first, cube.last
        self.backwards, self.steps = cube.backwards, list(cube.steps)
        count = len(self.series)
        self.bytes: Floats = cube.bytes[:count]
        self.total_ms: Floats = cube.total_ms[:count]
        kinds = (cube.keys >> KIND_AT) & 7
        bins = cube.keys >> BIN_AT
        fine = bins[kinds == COUNT]
        # Aligned, so that a histogram's bins are whole.
        self._origin = int(fine[0]) >> COARSE << COARSE if len(fine) else 0
        self.bins = int(fine[-1]) - self._origin + 1 if len(fine) else 0
        self.begin_s = self._origin * self.width_s
        self._cells = {kind: self._of_kind(cube, kinds == kind, kind) for kind in range(8)}
        self._examples = cube.examples
        self.weight = int(self._cells[COUNT].weights.sum())

    def _of_kind(self, cube: Cube, wanted: Bools, kind: int) -> Cells:
        keys = cube.keys[wanted]
        coarse = COARSE if kind in HISTOGRAMS else 0
        return Cells(
            bins=((keys >> BIN_AT) << coarse) - self._origin,
            series=(keys >> SERIES_AT) & ((1 << (KIND_AT - SERIES_AT)) - 1),
            buckets=keys & ((1 << SERIES_AT) - 1),
            counts=cube.counts[wanted],
            weights=cube.weights[wanted],
        )

    @property
    def seconds(self) -> float:
        """From the first event to the last."""
        return max(0.0, self.last - self.first)

    @property
    def types(self) -> list[str]:
        """Connection types, sorted."""
        return sorted({key[0] for key in self.series})

    def numbers(self, fits: Callable[[str, str, str], bool]) -> list[int]:
        """The series whose type, function and direction fit."""
        return [number for number, key in enumerate(self.series) if fits(*key)]

    def over_time(self, kind: int, series: Sequence[int]) -> Ints:
        """How many in each bin, weights left aside."""
        cells = self.cells(kind, series)
        found = np.bincount(cells.bins, cells.counts, self.bins)
        return found[: self.bins].astype(np.int64)

    def weighted(self, kind: int, series: Sequence[int]) -> int:
        """How many in all, each counted by its weight."""
        return int(self.cells(kind, series).weights.sum())

    def cells(self, kind: int, series: Sequence[int]) -> Cells:
        """The cells of some series."""
        cells = self._cells[kind]
        wanted = np.isin(cells.series, np.array(series, np.int64))
        return Cells._make(column[wanted] for column in cells)

    def spread(self, kind: int, series: Sequence[int], window: Window | None = None) -> Spread:
        """The distribution of a histogram over some series, weights counted, within a window."""
        cells = self.cells(kind, series)
        within = slice(None) if window is None else (cells.bins >= window.begin) & (cells.bins < window.end)
        return Spread.of(cells.buckets[within], cells.weights[within])

    def example(self, kind: int, series: Iterable[int], window: Window | None = None) -> Example | None:
        """Of events of this kind in a window: one from the highest bucket, the first that was read."""
        shift = COARSE if kind in HISTOGRAMS else 0
        best: tuple[int, int] | None = None
        found = None
        wanted = set(series)
        for prefix, (bucket, example) in self._examples.items():
            number = prefix & ((1 << (KIND_AT - SERIES_AT)) - 1)
            if number not in wanted or (prefix >> (KIND_AT - SERIES_AT)) & 7 != kind:
                continue
            at = ((prefix >> (BIN_AT - SERIES_AT)) << shift) - self._origin
            if window is not None and not window.begin - (1 << shift) < at < window.end:
                continue
            rank = (bucket, -example.order)
            if best is None or rank > best:
                best, found = rank, example
        return found

    def instant(self, at_bin: float) -> float:
        """Seconds since the epoch of a bin's beginning."""
        return self.begin_s + at_bin * self.width_s

    def span(self, window: Window) -> tuple[float, float]:
        """A window's beginning and end, within what was recorded."""
        return max(self.first, self.instant(window.begin)), min(self.last, self.instant(window.end))


class Spread(NamedTuple):
    """A distribution in buckets: ``values`` ascending, and how many of each."""

    values: Floats
    counts: Ints

    @classmethod
    def of(cls, buckets: Ints, counts: Ints) -> Spread:
        """From buckets in any order, each as often as it comes."""
        found, inverse = np.unique(buckets, return_inverse=True)
        return cls(value_of(found), np.bincount(inverse, counts, len(found)).astype(np.int64))

    @property
    def size(self) -> int:
        """How many in all."""
        return int(self.counts.sum())

    def percentile(self, percent: float) -> float | None:
        """The least value that ``percent`` of all do not exceed, within 2 %; None when empty."""
        reached = np.cumsum(self.counts)
        if not len(reached):
            return None
        rank = max(1, int(np.ceil(int(reached[-1]) * percent / 100)))
        return float(self.values[int(np.searchsorted(reached, rank))])


def value_of(buckets: Ints) -> Floats:
    """The estimate of each bucket, as ``histogram`` gives it."""
    values: Floats = 2 * GROWTH ** (buckets - OFFSET).astype(np.float64) / (GROWTH + 1)
    return np.where(buckets == 0, 0.0, values)
