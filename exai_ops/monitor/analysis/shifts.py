"""Where a duration changes its level, and where it keeps growing: tests on quantiles of successive windows.

A level is compared with that of the rest by ranks, over all stretches of windows; the best stretch counts
only if it is far outside of the windows' own scatter, if the single events differ too, and if neither a trend
over time nor the load explains it nearly as well.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from exai_ops.monitor.analysis.cube import Bools, Floats, Ints
from exai_ops.monitor.analysis.traffic import Cells, Spread, Window

MOST_WINDOWS: Final = 128
LEAST_WINDOWS: Final = 10
SIDE: Final = 3
"""Windows that a stretch, and the rest, have at least."""
RATIO: Final = 1.5
Z: Final = 8.0
BETTER: Final = 0.6
"""The step must leave at most this part of what a trend or the load leaves unexplained."""
DIFFER: Final = 0.62
"""Chance that an event of the stretch took longer than one of the rest."""
TREND_Z: Final = 4.5
_LOG_FLOOR: Final = 1e-3


class Windows(NamedTuple):
    """Successive windows with enough events each: a quantile's logarithm, how many, how many bins long."""

    begins: Ints
    ends: Ints
    levels: Floats
    counts: Ints

    @property
    def rates(self) -> Floats:
        """Events per bin."""
        found: Floats = self.counts / np.maximum(1, self.ends - self.begins)
        return found


class Shift(NamedTuple):
    """A stretch that is slower than the rest."""

    window: Window
    before: float
    after: float
    events: int
    z: float


def windows(cells: Cells, percent: float, least: int) -> Windows:
    """The cells in windows of ``least`` events, at most ``MOST_WINDOWS``; the rest joins the last."""
    order = np.argsort(cells.bins, kind="stable")
    bins, buckets, counts = cells.bins[order], cells.buckets[order], cells.counts[order]
    total = int(counts.sum())
    least = max(least, -(-total // MOST_WINDOWS))
    starts = np.flatnonzero(np.append(True, bins[1:] != bins[:-1])) if len(bins) else np.empty(0, np.int64)
    cuts, held = [], 0
    for start, size in zip(starts.tolist(), _sums(counts, starts).tolist(), strict=True):
        if not held:
            cuts.append(start)
        held += size
        if held >= least:
            held = 0
    if held and len(cuts) > 1:
        cuts.pop()
    found = []
    for begin, end in zip(cuts, [*cuts[1:], len(bins)][: len(cuts)], strict=True):
        level = Spread.of(buckets[begin:end], counts[begin:end]).percentile(percent) or 0.0
        found.append((int(bins[begin]), level, int(counts[begin:end].sum())))
    begins = np.array([one[0] for one in found], np.int64)
    last = int(bins[-1]) + 4 if len(bins) else 0
    levels = np.log(np.array([one[1] for one in found], np.float64) + _LOG_FLOOR)
    return Windows(begins, np.append(begins[1:], last), levels, np.array([one[2] for one in found], np.int64))


def _sums(counts: Ints, starts: Ints) -> Ints:
    return np.add.reduceat(counts, starts) if len(starts) else counts[:0]


def shift(cells: Cells, percent: float = 50.0, least: int = 20) -> Shift | None:
    """The stretch that is slower than the rest, if there is one."""
    seen = windows(cells, percent, least)
    if len(seen.levels) < LEAST_WINDOWS:
        return None
    by_rank, by_level = _stretch(_ranks(seen.levels)), _stretch(seen.levels)
    found = _slower(cells, seen, by_rank, percent)
    # Ranks mind no outlier, and may take in a neighbour that is the highest of the low ones.
    return found if found is not None or by_level == by_rank else _slower(cells, seen, by_level, percent)


def _slower(cells: Cells, seen: Windows, stretch: tuple[int, int], percent: float) -> Shift | None:
    begin, end = stretch
    inside = np.zeros(len(seen.levels), bool)
    inside[begin:end] = True
    if np.median(seen.levels[inside]) < np.median(seen.levels[~inside]):
        if begin and end < len(inside):
            return None  # a quick stretch between two slow ones
        inside = ~inside
        begin, end = (0, begin) if end == len(inside) else (end, len(inside))
    return _judged(cells, seen, inside, Window(int(seen.begins[begin]), int(seen.ends[end - 1])), percent)


def _judged(cells: Cells, seen: Windows, inside: Bools, window: Window, percent: float) -> Shift | None:
    slow, usual = seen.levels[inside], seen.levels[~inside]
    step = float(np.median(slow) - np.median(usual))
    if step < np.log(RATIO):
        return None
    here = (cells.bins >= window.begin) & (cells.bins < window.end)
    scatter = _scatter(seen, inside, _of(cells, ~here), percent)
    z = step / (scatter * np.sqrt(1 / len(slow) + 1 / len(usual)))
    if z < Z or not _explains(seen, inside) or _longer(_of(cells, here), _of(cells, ~here)) < DIFFER:
        return None
    before, after = (float(np.exp(np.median(side))) - _LOG_FLOOR for side in (usual, slow))
    return Shift(window, before, after, int(cells.counts[here].sum()), float(z))


def _ranks(levels: Floats) -> Floats:
    ranks = np.empty(len(levels))
    ranks[np.argsort(levels, kind="stable")] = np.arange(len(levels))
    return ranks


def _stretch(values: Floats) -> tuple[int, int]:
    """The stretch whose mean is furthest from that of the rest."""
    count = len(values)
    summed = np.concatenate(([0.0], np.cumsum(values - values.mean())))
    begin, end = np.triu_indices(count + 1, SIDE)
    size = end - begin
    fits = size <= count - SIDE
    begin, end, size = begin[fits], end[fits], size[fits]
    z = np.abs(summed[end] - summed[begin]) / np.sqrt(size * (count - size))
    best = int(np.argmax(z))
    return int(begin[best]), int(end[best])


def _scatter(seen: Windows, inside: Bools, usual: Spread, percent: float) -> float:
    """How far a window's level is from its side's: as seen, and at least as its number of events gives."""
    sides = np.where(inside, np.median(seen.levels[inside]), np.median(seen.levels[~inside]))
    as_seen = 1.4826 * float(np.median(np.abs(seen.levels - sides)))
    low, high = usual.percentile(25) or 0.0, usual.percentile(75) or 0.0
    one = (np.log(high + _LOG_FLOOR) - np.log(low + _LOG_FLOOR)) / 1.349
    factor = 1.2533 if percent == 50 else 1.71
    return max(as_seen, factor * float(one) / float(np.sqrt(np.median(seen.counts))), 0.02)


def _explains(seen: Windows, inside: Bools) -> bool:
    """Whether the step leaves much less unexplained than a curve over time, or the load, would."""
    levels = seen.levels
    means = np.where(inside, levels[inside].mean(), levels[~inside].mean())
    step = float(((levels - means) ** 2).sum())
    time = np.linspace(-1, 1, len(levels))
    load = np.log(seen.rates + 1e-9)
    others = [np.column_stack([time**n for n in range(3)]), np.column_stack([np.ones_like(load), load])]
    return all(step < BETTER * _left(model, levels) for model in others)


def _left(model: Floats, levels: Floats) -> float:
    """The sum of squares that a least squares fit leaves."""
    fit = np.linalg.lstsq(model, levels, rcond=None)[0]
    return float(((levels - model @ fit) ** 2).sum())


def _longer(slow: Spread, usual: Spread) -> float:
    """The chance that one of ``slow`` is above one of ``usual``, ties by half (Mann and Whitney's U)."""
    below = np.concatenate(([0], np.cumsum(usual.counts)))
    at = np.searchsorted(usual.values, slow.values, "left")
    after = np.searchsorted(usual.values, slow.values, "right")
    wins = (below[at] + below[after]) / 2
    return float((wins * slow.counts).sum() / max(1, slow.size * usual.size))


def _of(cells: Cells, wanted: Bools) -> Spread:
    return Spread.of(cells.buckets[wanted], cells.counts[wanted])


class Growth(NamedTuple):
    """A level that keeps growing: that of the first third and of the last."""

    before: float
    after: float
    events: int
    load: float


def growth(cells: Cells, percent: float = 75.0, least: int = 10) -> Growth | None:
    """Whether a quantile grows from the beginning to the end (Mann and Kendall's test); ``load`` likewise."""
    seen = windows(cells, percent, least)
    count = len(seen.levels)
    if count < 12:
        return None
    later = np.sign(seen.levels[None, :] - seen.levels[:, None])
    score = float(np.triu(later, 1).sum())
    z = score / np.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    if z < TREND_Z:
        return None
    third = count // 3
    before, after = (float(np.exp(np.median(side))) for side in (seen.levels[:third], seen.levels[-third:]))
    load = float(np.median(seen.rates[-third:]) / np.median(seen.rates[:third]))
    return Growth(before, after, int(seen.counts.sum()), load)
