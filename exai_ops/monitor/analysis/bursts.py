"""Where something is more frequent than it is otherwise: a scan statistic over time.

For each window of 1, 2, 4 ... bins the count within is compared with what the rest of the period would give
(Kulldorff's likelihood ratio for Poisson counts: Communications in Statistics 26, 1997). Counts that come in
clumps vary more than Poisson's; so the score is divided by the dispersion seen outside of the window.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from exai_ops.monitor.analysis.cube import Floats, Ints
from exai_ops.monitor.analysis.traffic import Window

SCORE: Final = 18.0
"""Log likelihood ratio from which a window counts."""
MOST: Final = 3
LONGEST: Final = 3
"""A burst is at most this part of the bins: what lasts longer is how things are."""


class Burst(NamedTuple):
    """A window with ``found`` where ``expected`` would be usual."""

    window: Window
    found: int
    expected: float
    exposure: float
    score: float


def bursts(counts: Ints, exposure: Floats | Ints, *, least: int, factor: float) -> Iterator[Burst]:
    """The windows with ``least`` and ``factor`` times what is usual, the strongest first, three at most.

    ``exposure`` says in each bin how much could happen: seconds, or events.
    """
    left, could = counts.astype(np.float64), exposure.astype(np.float64)
    for _ in range(MOST):
        if left.sum() < least:
            return
        best = _strongest(left, could)
        if best is None or best.score < SCORE or best.found < least or best.found < factor * best.expected:
            return
        yield best
        left[best.window.begin : best.window.end] = 0
        could[best.window.begin : best.window.end] = 0


def _strongest(counts: Floats, exposure: Floats) -> Burst | None:
    total, could = counts.sum(), exposure.sum()
    summed, exposed = _cumulative(counts), _cumulative(exposure)
    best: tuple[float, int, int] | None = None
    length = 1
    while length <= max(1, len(counts) // LONGEST):
        within = summed[length:] - summed[:-length]
        share = exposed[length:] - exposed[:-length]
        usual = (total - within + 0.5) / (could - share + 1.0) * share
        scores = _ratio(within, usual)
        at = int(np.argmax(scores))
        if best is None or scores[at] > best[0] * 1.05:  # a longer one must add something
            best = (float(scores[at]), at, length)
        length *= 2
    if best is None or best[0] <= 0:
        return None
    raw, begin, length = best
    begin, end = _trimmed(counts, begin, begin + length)
    here, exposed_here = float(summed[end] - summed[begin]), float(exposed[end] - exposed[begin])
    rate = float((total - here + 0.5) / (could - exposed_here + 1.0))
    spread = _dispersion(counts, exposure, rate, (begin, end), length)
    return Burst(Window(begin, end), round(here), rate * exposed_here, exposed_here, raw / spread)


def _ratio(within: Floats, usual: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = within * np.log(within / usual) - (within - usual)
    return np.where((within > usual) & (usual > 0), scores, 0.0)


def _trimmed(counts: Floats, begin: int, end: int) -> tuple[int, int]:
    """The window without the empty bins at its ends."""
    some = np.flatnonzero(counts[begin:end])
    return (begin + int(some[0]), begin + int(some[-1]) + 1) if len(some) else (begin, end)


def _dispersion(
    counts: Floats, exposure: Floats, usual: float, window: tuple[int, int], length: int
) -> float:
    """How much more than Poisson's the counts vary outside of the window, in blocks as long; at least 1.

    The few highest blocks are left aside: they may be bursts themselves.
    """
    outside = np.ones(len(counts), bool)
    outside[window[0] : window[1]] = False
    starts = np.arange(0, len(counts), length)
    found = np.add.reduceat(np.where(outside, counts, 0.0), starts)
    expected = np.add.reduceat(np.where(outside, exposure, 0.0), starts) * usual
    kept = np.argsort(found - expected)[: max(1, len(found) - 2 - len(found) // 50)]
    scale = float(expected[kept].sum())
    if scale <= 0:
        return 1.0
    return max(1.0, float(((found[kept] - expected[kept]) ** 2).sum()) / scale)


def _cumulative(values: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(values)))
