"""Rules about the recording itself: what is missing in it, and its clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from exai_ops.findings import Status
from exai_ops.monitor.analysis.cube import COUNT, Ints
from exai_ops.monitor.analysis.table import Context, Found, Rule
from exai_ops.monitor.analysis.traffic import Window

WINDOWS: Final = 8
BESIDE: Final = 12
"""Windows of a gap's length that it is compared with: of these at least, and on each side at most."""
STEADY: Final = 5.0
"""Their mean is at least so many of their standard deviations; events that come together vary together."""
LONGER: Final = 4.0
"""A gap is so many times as long as any pause; ``GAPS`` of them at most."""
GAPS: Final = 3
LEAST_PART: Final = 0.3
"""The emptiest of them has this part of what is usual."""
STEPS: Final = 5
DISORDER: Final = 0.01


def gaps(context: Context) -> Iterable[Found]:
    """Stretches without an event in traffic that is steady; and what the recording says is missing."""
    traffic = context.traffic
    for source in context.sources:
        if source.gaps:
            some = f"{source.missed} events" if source.missed else "events, nobody knows how many,"
            said = f"{some} are missing in it, by its own {source.gaps} marks of dropped events and gaps"
            hint = "a tail that reads slower than events come loses them: filter it, or write it to a file"
            yield Found(source.name, said, source.missed, hint=hint)
    counts = traffic.over_time(COUNT, range(len(traffic.series)))
    for window in _longest(_empty(counts)):
        length = window.end - window.begin
        others = _others(counts, window)
        if len(others) >= WINDOWS and _steady(others):
            missing = float(np.median(others))
            said = (
                f"no event for {length * traffic.width_s:.3g} s {context.when(window)}, where about "
                f"{missing:.0f} are usual"
            )
            yield Found("all", said, round(missing), window)


def _empty(counts: Ints) -> list[Window]:
    """Runs of bins without an event, the longest first."""
    edges = np.flatnonzero(np.diff(np.concatenate(([1], (counts > 0).astype(np.int8), [1]))))
    runs = [Window(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return sorted(runs, key=lambda run: run.begin - run.end)


def _longest(runs: Sequence[Window]) -> Sequence[Window]:
    """Those at the beginning that are much longer than all after them, of at least two bins."""
    lengths = [run.end - run.begin for run in runs] + [0.5]
    for count in range(min(GAPS, len(runs)), 0, -1):
        if lengths[count - 1] >= LONGER * lengths[count] and lengths[count - 1] >= 2:
            return runs[:count]
    return ()


def _others(counts: Ints, window: Window) -> Ints:
    """Counts of the windows as long on both sides of one, those nearest to it."""
    length = window.end - window.begin
    sides = (counts[: window.begin][::-1], counts[window.end :])
    whole = [side[: len(side) // length * length].reshape(-1, length).sum(axis=1)[:BESIDE] for side in sides]
    return np.concatenate(whole)


def _steady(counts: Ints) -> bool:
    mean, scatter = float(counts.mean()), float(counts.std(ddof=1))
    return mean >= STEADY * max(scatter, 1.0) and float(counts.min()) >= LEAST_PART * mean


def clock_steps(context: Context) -> Iterable[Found]:
    """Places where time goes back in a recording that is otherwise in order."""
    traffic = context.traffic
    if not traffic.ordered:
        hint = "--engine python looks"
        yield Found("all", "not looked at: DuckDB keeps no order", 0, hint=hint, severity=Status.SKIP)
        return
    if not 1 <= len(traffic.steps) <= STEPS or traffic.backwards > max(STEPS, DISORDER * traffic.events):
        return
    for step in traffic.steps:
        name = context.sources[step.source].name if step.source < len(context.sources) else "all"
        said = (
            f"time goes back by {step.before - step.after:.3g} s, from {context.at(step.before)} to "
            f"{context.at(step.after)}"
        )
        yield Found(name, said, 1, begin=step.after, end=step.before)


def unread(context: Context) -> Iterable[Found]:
    """Sources of which a part could not be read."""
    for source in context.sources:
        if source.skipped:
            whole = source.skipped + source.events + source.left_out
            said = f"{source.skipped} of {whole} could not be read; the first: {source.first_skip}"
            worse = None if source.skipped >= DISORDER * whole else Status.INFO
            yield Found(source.name, said, source.skipped, severity=worse)


RULES: Final = (
    Rule(
        "MON011",
        Status.WARNING,
        "steady traffic is recorded without a gap",
        "was the daemon away, its host asleep? exai monitor export --since reaches past the ring and a "
        "restart",
        "No event at all for a time, where the windows as long beside it (8 or more) are steady: their mean"
        " is 5 standard deviations, the emptiest has 30 % of it, and all other pauses are 4 times shorter. "
        "Traffic in bursts, or a call now and then, has no gaps that could be told from pauses. And what a "
        "tail's own lines say was dropped or no longer kept.",
        gaps,
    ),
    Rule(
        "MON012",
        Status.WARNING,
        "time goes forward",
        "look at the host's clock (chronyc tracking, timedatectl), or whether files were joined out of order",
        "A timestamp is more than 1 s before the one that was recorded before it, at most 5 times in a file"
        " that is otherwise in order. Files that are sorted otherwise, or not at all, are read all the same"
        " and say nothing.",
        clock_steps,
    ),
    Rule(
        "MON090",
        Status.WARNING,
        "every line can be read",
        "look at the line that is named; a file that ends in the middle was cut while it was written or "
        "copied",
        "Lines, rows or objects that are no events, or whose numbers are out of range, are left out and "
        "counted. Information only, below 1 %.",
        unread,
    ),
)
