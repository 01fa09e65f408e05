"""Events counted into cells: by time, kind, series and bucket; in one pass, in memory that does not grow.

A cell's key is one integer, so that a batch is counted by sorting it. Time is cut in bins of ``2**k / 8``
seconds; ``k`` rises when there are too many cells, and is in the end the least that keeps all the limits,
whatever the order of the events: each limit, once exceeded by some events, is exceeded by these and more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from exai_ops.monitor.analysis.lines import EARLIEST, LATEST, MAX_MS, MAX_WEIGHT, Line, More
from exai_ops.monitor.histogram import RELATIVE_ERROR, SMALLEST

BINS_PER_S: Final = 8
MAX_BINS: Final = 1_024
"""Bins that hold an event, at most."""
MAX_SPAN: Final = 16_384
"""Bins from the first to the last, at most."""
MAX_CELLS: Final = 80_000
MAX_SERIES: Final = 512
"""Series beyond it are counted as ``OTHER`` functions of their type."""
OTHER: Final = "(other)"
COARSE: Final = 2
"""Histograms are kept for ``2**COARSE`` bins together."""

COUNT, ERROR, RETRY, MS, PERMIT, QUEUE, LIFE, THROTTLE = range(8)
"""Kinds of cells: events; those with an error; requests after the first of their completion; and histograms
of response time, wait for permits, wait in the queue (ms), a connection's life and an advised wait (s).
"""

BIN_AT: Final = 25
KIND_AT: Final = 22
SERIES_AT: Final = 12
_BUCKET: Final = (1 << SERIES_AT) - 1
_SERIES: Final = (1 << (KIND_AT - SERIES_AT)) - 1
OFFSET: Final = 1_024
"""Added to the index of a histogram's bucket, which may be below 0."""

GROWTH: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
SCALE: Final = float(1 / np.log(GROWTH))

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
SeriesKey: TypeAlias = tuple[str, str, str]
"""Connection type, function, direction."""

STEP_S: Final = 1.0
"""Time that goes back by less is the order in which threads record."""
MAX_STEPS: Final = 1_000
STATUS: Final = -1
"""Of no cell: what it tells is whether an event is a rate limit."""
TOO_MANY: Final = 429
ERROR_DIRECTIONS: Final = ("error", "reject")
_MERGE_AT: Final = 1 << 15
_NOTHING: Final = More()
_KEY: Final = attrgetter("connection_type", "function", "direction")


class Example(NamedTuple):
    """An event that shows what a cell is about; ``order`` is its number in what was read."""

    order: int
    timestamp: float
    session: str | None = None
    request: str | None = None
    error: str | None = None


class Step(NamedTuple):
    """Where, in the order of a source, time went back."""

    source: int
    before: float
    after: float


class SeriesIds(dict[SeriesKey, int]):
    """The number of each series, in the order in which they are first seen."""

    def __init__(self) -> None:
        super().__init__()
        self._failing: Bools = np.zeros(2 * MAX_SERIES, np.bool_)
        self._limited: Bools = np.zeros(2 * MAX_SERIES, np.bool_)

    def __missing__(self, key: SeriesKey) -> int:
        if len(self) >= 2 * MAX_SERIES - 1:
            key = (OTHER, OTHER, OTHER)
        elif len(self) >= MAX_SERIES:
            key = (key[0], OTHER, key[2])
        number = self.get(key)
        if number is None:
            number = self[key] = len(self)
            self._failing[number] = key[2] in ERROR_DIRECTIONS
            self._limited[number] = key[2] == "rate_limit"
        return number

    def failing(self, series: Ints) -> Bools:
        """Which of these are failures by their direction."""
        found: Bools = self._failing[series]
        return found

    def limited(self, series: Ints) -> Bools:
        """Which of these are rate limits by their direction."""
        found: Bools = self._limited[series]
        return found


def bucket_of(values: Floats) -> Ints:
    """The index of each value's bucket, as ``histogram`` has them, ``OFFSET`` added; 0 for almost nothing."""
    clipped = np.clip(values, SMALLEST, MAX_MS)
    found: Ints = np.ceil(np.log(clipped) * SCALE).astype(np.int64) + OFFSET
    found[values <= SMALLEST] = 0
    return found


class Cube:
    """Counts events. Not thread-safe."""

    def __init__(self) -> None:
        self.ids = SeriesIds()
        self.shift = 0
        self.keys: Ints = np.empty(0, np.int64)
        self.counts: Ints = np.empty(0, np.int64)
        self.weights: Ints = np.empty(0, np.int64)
        self.bytes: Floats = np.zeros(2 * MAX_SERIES)
        self.total_ms: Floats = np.zeros(2 * MAX_SERIES)
        self.examples: dict[int, tuple[int, Example]] = {}
        self.events = 0
        self.sampled = 0
        self.first = LATEST
        self.last = 0.0
        self.backwards = 0
        self.steps: list[Step] = []
        self._last_of: dict[int, float] = {}
        self._waiting: list[tuple[Ints, Ints, Ints]] = []
        self._waiting_cells = 0

    def add(self, lines: Sequence[Line], source: int = 0) -> int:
        """Count a batch, in the order of its source; how many lines hold numbers that cannot be counted."""
        if not lines:
            return 0
        batch = _Batch(lines, self.ids)
        if not batch.whole:
            kept = [line for line, good in zip(lines, batch.good.tolist(), strict=True) if good]
            self.add(kept, source)
            return len(lines) - len(kept)
        self._follow(batch.times, source)
        self._count(batch)
        self.events += len(lines)
        return 0

    def _follow(self, times: Floats, source: int) -> None:
        """See where time goes back within a source."""
        before = np.concatenate(([self._last_of.get(source, times[0])], times[:-1]))
        back = np.flatnonzero(times < before)
        self.backwards += len(back)
        far = back[times[back] < before[back] - STEP_S]
        for index in far[: MAX_STEPS - len(self.steps)]:
            self.steps.append(Step(source, float(before[index]), float(times[index])))
        self._last_of[source] = float(times[-1])
        self.first = min(self.first, float(times.min()))
        self.last = max(self.last, float(times.max()))

    def _count(self, batch: _Batch) -> None:
        self.bytes += np.bincount(batch.series, batch.sizes * batch.weights, 2 * MAX_SERIES)
        self.sampled += int(np.count_nonzero(batch.weights != 1))
        keys, rows = batch.cells(self.shift)
        timed = np.where(np.isnan(batch.ms), 0.0, batch.ms)
        self.total_ms += np.bincount(batch.series, timed * batch.weights, 2 * MAX_SERIES)
        order = np.argsort(keys, kind="stable")
        keys, rows = keys[order], rows[order]
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        found, counts = keys[starts], np.diff(starts, append=len(keys))
        weights = np.add.reduceat(batch.weights[rows], starts).astype(np.int64)
        self._exemplify(batch, found, rows[starts])
        self._waiting.append((found, counts, weights))
        self._waiting_cells += len(found)
        if self._waiting_cells >= _MERGE_AT:
            self.settle()

    def _exemplify(self, batch: _Batch, found: Ints, rows: Ints) -> None:
        """Keep an example of each cell that has one: of a histogram, from its highest bucket."""
        prefixes = found >> SERIES_AT
        top = np.flatnonzero(np.append(prefixes[1:] != prefixes[:-1], True))
        kinds = (found[top] >> KIND_AT) & 7
        for index in top[kinds != COUNT].tolist():
            prefix, bucket = int(prefixes[index]), int(found[index]) & _BUCKET
            held = self.examples.get(prefix)
            if held is None or bucket > held[0]:
                row = int(rows[index])
                self.examples[prefix] = (bucket, _example(batch.lines[row], self.events + row))

    def take(self, keys: Ints, counts: Ints, weights: Ints) -> None:
        """Cells that were counted elsewhere, in this cube's width of bins; a key may come several times."""
        self._waiting.append((keys, counts, weights))
        self._waiting_cells += len(keys)

    def settle(self) -> None:
        """Merge what waits, and make time coarser until all limits hold."""
        if self._waiting:
            parts = [(self.keys, self.counts, self.weights), *self._waiting]
            self._waiting, self._waiting_cells = [], 0
            keys, counts, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
            self._merge(keys, counts, weights)
        while len(self.keys) and self._too_many():
            self.shift += 1
            self._merge(coarser(self.keys), self.counts, self.weights)
            self._coarsen_examples()

    def _merge(self, keys: Ints, counts: Ints, weights: Ints) -> None:
        self.keys, inverse = np.unique(keys, return_inverse=True)
        self.counts = np.bincount(inverse, counts, len(self.keys)).astype(np.int64)
        self.weights = np.bincount(inverse, weights, len(self.keys)).astype(np.int64)

    def _too_many(self) -> bool:
        if len(self.keys) > MAX_CELLS:
            return True
        bins = np.unique(self.keys[(self.keys >> KIND_AT) & 7 == COUNT] >> BIN_AT)
        return len(bins) > MAX_BINS or int(bins[-1] - bins[0]) >= MAX_SPAN

    def _coarsen_examples(self) -> None:
        merged: dict[int, tuple[int, Example]] = {}
        at, low = BIN_AT - SERIES_AT, (1 << (BIN_AT - SERIES_AT)) - 1
        for prefix, held in self.examples.items():
            key = ((prefix >> at >> 1) << at) | (prefix & low)
            other = merged.get(key)
            if other is None or (held[0], -held[1].order) > (other[0], -other[1].order):
                merged[key] = held
        self.examples = merged


def coarser(keys: Ints) -> Ints:
    """The same cells in bins of twice the width."""
    return ((keys >> BIN_AT >> 1) << BIN_AT) | (keys & ((1 << BIN_AT) - 1))


class _Batch:
    """Lines as columns.

    Attributes:
        whole: Whether all can be counted; ``good`` says which can.
    """

    def __init__(self, lines: Sequence[Line], ids: SeriesIds) -> None:
        self.lines = lines
        count = len(lines)
        self.times = _floats([line.timestamp for line in lines])
        self.ms = _floats([line.response_time_ms for line in lines])
        self.sizes = _floats([line.data_size_bytes for line in lines])
        weights = [line.weight for line in lines]
        self.weights: Floats = np.ones(count) if weights.count(1) == count else _floats(weights)
        self.good: Bools = (
            (self.times >= EARLIEST)
            & (self.times < LATEST)
            & (self.sizes >= 0)
            & (self.sizes <= 1 << 53)
            & ~((self.ms < 0) | (self.ms > MAX_MS))
            & (self.weights >= 1)
            & (self.weights <= MAX_WEIGHT)
        )
        self.whole = bool(self.good.all())
        if not self.whole:
            return
        self.series: Ints = np.fromiter(map(ids.__getitem__, map(_KEY, lines)), np.int64, count)
        self.failed = ids.failing(self.series)
        self.failed[[index for index, line in enumerate(lines) if line.error is not None]] = True
        self.limited: Bools = ids.limited(self.series)

    def cells(self, shift: int) -> tuple[Ints, Ints]:
        """The keys of all cells that the lines belong to, and the line of each."""
        bins = (self.times * BINS_PER_S).astype(np.int64) >> shift
        fine = (bins << BIN_AT) | (self.series << SERIES_AT)
        coarse = (bins >> COARSE << BIN_AT) | (self.series << SERIES_AT)
        timed = np.flatnonzero(~np.isnan(self.ms))
        parts = [fine, coarse[timed] | (MS << KIND_AT) | bucket_of(self.ms[timed])]
        rows = [np.arange(len(self.lines)), timed]
        advised: Ints = np.zeros(len(fine), np.int64)
        for kind, found, values in self._measured():
            if kind == THROTTLE:
                advised[found] = bucket_of(values)
            elif kind == STATUS:
                self.limited[found[values == TOO_MANY]] = True
            else:
                cells = fine[found] if kind == RETRY else coarse[found] | bucket_of(values)
                parts.append(cells | (kind << KIND_AT))
                rows.append(found)
        if len(limited := np.flatnonzero(self.limited)):
            parts.append(fine[limited] | (THROTTLE << KIND_AT) | advised[limited])
            rows.append(limited)
        if len(failed := np.flatnonzero(self.failed & ~self.limited)):
            parts.append(fine[failed] | (ERROR << KIND_AT))
            rows.append(failed)
        return np.concatenate(parts), np.concatenate(rows)

    def _measured(self) -> Iterator[tuple[int, Ints, Floats]]:
        """Kind, lines and values of what the metadata measures."""
        more = [line.metadata or _NOTHING for line in self.lines]
        columns = (
            (RETRY, [one.attempt for one in more]),
            (PERMIT, [one.permit_wait_ms for one in more]),
            (QUEUE, [one.queue_wait_ms for one in more]),
            (LIFE, [one.duration_s for one in more]),
            (THROTTLE, [one.retry_after_s for one in more]),
            (STATUS, [one.status for one in more]),
        )
        for kind, column in columns:
            if column.count(None) == len(column):
                continue
            values = _floats(column)
            wanted = np.flatnonzero(values > 1 if kind == RETRY else (values >= 0) & (values <= MAX_MS))
            if len(wanted):
                yield kind, wanted, values[wanted]


def _floats(column: Sequence[float | None]) -> Floats:
    """None is NaN."""
    return np.fromiter(column, np.float64, len(column))


def _example(line: Line, order: int) -> Example:
    more = line.metadata
    error = None if line.error is None else line.error[:120]
    if more is None:
        return Example(order, line.timestamp, None, None, error)
    return Example(order, line.timestamp, more.session, more.request, error)
