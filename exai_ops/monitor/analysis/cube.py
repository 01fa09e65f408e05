"""Events counted into cells: by time, kind, series and bucket; in one pass, in memory that does not grow.

A cell's key is one integer, so that a batch is counted by sorting it. Time is cut in bins of ``2**k / 8``
seconds; ``k`` rises when there are too many cells, and is in the end the least that keeps all the limits,
whatever the order of the events: each limit, once exceeded by some events, is exceeded by these and more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from exai_ops.monitor.analysis.lines import EARLIEST, LATEST, MAX_MS, MAX_WEIGHT, Line, More
from exai_ops.monitor.filters import FAILURES
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

COUNT, ERROR, RETRY, MS, PERMIT, QUEUE, LIFE, AFTER = range(8)
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

_MERGE_AT: Final = 1 << 15


class Example(NamedTuple):
    """An event that shows what a cell is about."""

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
    """The number of each series, in the order in which they are first seen.

    Attributes:
        failing: Those of a direction that is an error in itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failing: list[int] = []

    def __missing__(self, key: SeriesKey) -> int:
        if len(self) >= 2 * MAX_SERIES - 1:
            key = (OTHER, OTHER, OTHER)
        elif len(self) >= MAX_SERIES:
            key = (key[0], OTHER, key[2])
        number = self.get(key)
        if number is None:
            number = self[key] = len(self)
            if key[2] in FAILURES:
                self.failing.append(number)
        return number


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
        self.ordered = True  # as long as lines come in the order of their source
        self.backwards = 0
        self.steps: list[Step] = []
        self._last_of: dict[int, float] = {}
        self._waiting: list[tuple[Ints, Ints, Ints]] = []
        self._waiting_cells = 0

    def add(self, lines: Sequence[Line], source: int = 0) -> list[int]:
        """Count a batch in the order of its source; the indexes of those lines that cannot be counted."""
        if not lines:
            return []
        columns = list(zip(*map(msgspec.structs.astuple, lines), strict=True))
        batch = _Batch(lines, columns, self.ids)
        if batch.refused:
            kept = [line for line, good in zip(lines, batch.good.tolist(), strict=True) if good]
            self.add(kept, source)
            return batch.refused
        self._follow(batch.times, source)
        self._count(batch)
        self.events += len(lines)
        return []

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
        # The first in time of those that share a key comes first; most sources are in order.
        sorted_ = bool((batch.times[1:] >= batch.times[:-1]).all())
        order = np.argsort(keys, kind="stable") if sorted_ else np.lexsort((batch.times[rows], keys))
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
            line = batch.lines[int(rows[index])]
            if held is None or (bucket, -line.timestamp) > (held[0], -held[1].timestamp):
                self.examples[prefix] = (bucket, _example(line))

    def take(self, keys: Ints, counts: Ints, weights: Ints) -> None:
        """Take cells that were counted elsewhere, at the shift that is set."""
        self._waiting.append((keys, counts, weights))

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
            if other is None or (held[0], -held[1].timestamp) > (other[0], -other[1].timestamp):
                merged[key] = held
        self.examples = merged


STEP_S: Final = 1.0
"""Time that goes back by less is the order in which threads record."""
MAX_STEPS: Final = 1_000


def coarser(keys: Ints) -> Ints:
    """The same cells in bins of twice the width."""
    return ((keys >> BIN_AT >> 1) << BIN_AT) | (keys & ((1 << BIN_AT) - 1))


class _Batch:
    """Lines as columns.

    Attributes:
        refused: Indexes of those that cannot be counted; ``good`` says which can. With any, it has no more.
    """

    def __init__(self, lines: Sequence[Line], columns: Sequence[Sequence[object]], ids: SeriesIds) -> None:
        self.lines = lines
        times, types, directions, functions, sizes, ms, errors, metadata, weights = columns
        count = len(lines)
        self.times: Floats = np.fromiter(times, np.float64, count)
        self.ms: Floats = np.fromiter(ms, np.float64, count)  # None is NaN
        self.sizes: Floats = np.fromiter(sizes, np.float64, count)
        plain = weights.count(1) == count
        self.weights: Floats = np.ones(count) if plain else np.fromiter(weights, np.float64, count)
        self.good: Bools = (
            (self.times >= EARLIEST)
            & (self.times < LATEST)
            & (self.sizes >= 0)
            & (self.sizes <= 1 << 53)
            & ~((self.ms < 0) | (self.ms > MAX_MS))
            & (self.weights >= 1)
            & (self.weights <= MAX_WEIGHT)
        )
        self.refused: list[int] = np.flatnonzero(~self.good).tolist()
        if self.refused:
            return
        keys = zip(types, functions, directions, strict=True)
        self.series: Ints = np.fromiter(map(ids.__getitem__, keys), np.int64, count)  # type: ignore[arg-type]
        self.errors = _errors(errors, self.series, ids.failing)
        self.more: Sequence[More] = metadata  # type: ignore[assignment]

    def cells(self, shift: int) -> tuple[Ints, Ints]:
        """The keys of all cells that the lines belong to, and the line of each."""
        bins = (self.times * BINS_PER_S).astype(np.int64) >> shift
        fine = (bins << BIN_AT) | (self.series << SERIES_AT)
        coarse = (bins >> COARSE << BIN_AT) | (self.series << SERIES_AT)
        timed = np.flatnonzero(~np.isnan(self.ms))
        everything = np.arange(len(self.lines))
        parts = [fine, coarse[timed] | (MS << KIND_AT) | bucket_of(self.ms[timed])]
        rows = [everything, timed]
        if len(self.errors):
            parts.append(fine[self.errors] | (ERROR << KIND_AT))
            rows.append(self.errors)
        for kind, found, values in self._measured():
            buckets = 0 if kind == RETRY else bucket_of(values)
            cells = (fine if kind == RETRY else coarse)[found]
            parts.append(cells | (kind << KIND_AT) | buckets)
            rows.append(found)
        return np.concatenate(parts), np.concatenate(rows)

    def _measured(self) -> Iterator[tuple[int, Ints, Floats]]:
        """Kind, lines and values of what the metadata measures."""
        more = self.more
        for kind, column in (
            (RETRY, [one.attempt for one in more]),
            (PERMIT, [one.permit_wait_ms for one in more]),
            (QUEUE, [one.queue_wait_ms for one in more]),
            (LIFE, [one.duration_s for one in more]),
            (AFTER, [one.retry_after_s for one in more]),
        ):
            if column.count(None) == len(column):
                continue
            values: Floats = np.fromiter(column, np.float64, len(column))
            wanted = np.flatnonzero(values > 1 if kind == RETRY else (values >= 0) & (values <= MAX_MS))
            if len(wanted):
                yield kind, wanted, values[wanted]


def _errors(errors: Sequence[object], series: Ints, failing: Sequence[int]) -> Ints:
    """Which lines are errors: with one, or of a direction that is one."""
    found = np.isin(series, np.array(failing, np.int64)) if failing else np.zeros(len(series), bool)
    if errors.count(None) != len(errors):
        found[[index for index, error in enumerate(errors) if error is not None]] = True
    return np.flatnonzero(found)


def _example(line: Line) -> Example:
    more = line.metadata
    error = None if line.error is None else line.error[:120]
    return Example(line.timestamp, more.session, more.request, error)
