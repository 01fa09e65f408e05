"""Rules on connections, and on the recording itself: what is missing in it, or out of order."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Final

import numpy as np

from exai_ops.findings import Location, Status
from exai_ops.monitor.analysis.bursts import Burst, bursts
from exai_ops.monitor.analysis.cube import COARSE, COUNT, ERROR, LIFE, MS, Ints
from exai_ops.monitor.analysis.model import Found, View, length, number, percent
from exai_ops.monitor.analysis.traffic import Spread, Traffic, Window
from exai_ops.timezones import utc_iso

LEAST_CONNECTS: Final = 20
STORM_FACTOR: Final = 4.0
CALLS: Final = 0.5
"""Calls for each connect; with more, clients have come to work."""
SLACK: Final = 10
"""Percentile of the calls in windows as long: what there is without anybody who has just come."""
LEAST_ENDED: Final = 20
SAME_AGE: Final = 0.5
"""Share of ended connections that lived as long as each other, within ``AGE_WIDTH``."""
AGE_WIDTH: Final = 0.05
LEAST_AGE_S: Final = 5.0
HOLE_EVENTS: Final = 30
HOLE_CHANCE: Final = 1e-6
HOLE_LONGER: Final = 5
"""Times that a hole is longer than the next longest."""
LEAST_BINS: Final = 20
UNORDERED: Final = 0.05


def reconnect_storms(view: View) -> Iterator[Found]:
    """Windows in which far more connections are made than else, and as many are lost."""
    traffic = view.traffic
    for name in traffic.types:
        opened, closed = (
            traffic.over_time(COUNT, _of(traffic, name, way)) for way in ("connect", "disconnect")
        )
        seconds = np.full(len(opened), traffic.width_s)
        for burst in bursts(opened, seconds, least=LEAST_CONNECTS, factor=STORM_FACTOR):
            begin, end = burst.window
            around = end - begin
            lost = int(closed[max(0, begin - around) : end + around].sum())
            if lost < burst.found / 2:
                continue  # they come, and stay
            if not _by_errors(traffic, name, burst.window) and _work(traffic, name, burst):
                continue  # scripts, each of which connects, calls and leaves
            age = _same_age(traffic, name, Window(max(0, begin - around), end + around))
            message = (
                f"{name}: {burst.found} connections were made and {lost} lost, {view.when(burst.window)}, "
                f"where {number(burst.expected)} are usual"
            )
            evidence = view.times(burst.window) | {
                "connects": burst.found,
                "disconnects": lost,
                "expected": round(burst.expected, 2),
            }
            hint = f"exai monitor tail --type {name} --direction connect,disconnect,error --since 10m"
            if age is not None:
                message += f"; most had lived {length(age[0] * 1000)}, as if cut by a timer"
                hint = (
                    "compare EXAI_WS_PING_INTERVAL with the idle limit of what is between client and daemon"
                )
                evidence |= {"lived_s": round(age[0], 2), "alike": age[1]}
            yield Found(message, hint, name, evidence)


def _by_errors(traffic: Traffic, name: str, window: Window) -> bool:
    """Whether half of the connections that ended in a window ended by an error."""
    closed = _of(traffic, name, "disconnect")
    failed, ended = (
        int(traffic.over_time(kind, closed)[window.begin : window.end].sum()) for kind in (ERROR, COUNT)
    )
    return failed >= max(1, ended / 2)


def _work(traffic: Traffic, name: str, burst: Burst) -> bool:
    """Whether calls came with the connects: more than a slack window as long has, and its scatter.

    The last calls may end some bins after the last connect.
    """
    calls = traffic.numbers(lambda type_, _, way: type_ == name and way in {"send", "error"})
    timed = traffic.cells(MS, calls)
    per_bin = np.zeros(traffic.bins + (1 << COARSE))
    for step in range(1 << COARSE):
        per_bin += np.bincount(timed.bins + step, timed.counts, len(per_bin))[: len(per_bin)] / (1 << COARSE)
    begin, end = burst.window.begin, min(len(per_bin), burst.window.end + (1 << COARSE))
    summed = np.concatenate(([0.0], np.cumsum(per_bin)))
    windows = summed[end - begin :] - summed[: begin - end]
    usual = float(np.percentile(windows, SLACK))
    return float(windows[begin]) - usual - sqrt(usual) > CALLS * (burst.found - burst.expected)


def same_age(view: View) -> Iterator[Found]:
    """Connections that end at one age: a ping without answer, a proxy's idle limit."""
    for name in view.traffic.types:
        age = _same_age(view.traffic, name, None)
        if age is not None:
            lived = length(age[0] * 1000)
            message = f"{name}: {age[1]} of {age[2]} connections ended after {lived}, as if cut by a timer"
            evidence = {"lived_s": round(age[0], 2), "alike": age[1], "ended": age[2]}
            yield Found(message, "", name, evidence)


def holes(view: View) -> Iterator[Found]:
    """Times without an event in a stream that is steady else."""
    if not view.whole:
        return
    counts = view.traffic.over_time(COUNT, range(len(view.traffic.series)))
    for scale in (1, 2, 4, 8, 16):
        coarse = np.add.reduceat(counts, np.arange(0, len(counts), scale)) if len(counts) else counts
        found = hole(coarse)
        if found is not None:
            window = Window(found.begin * scale, found.end * scale)
            local = _local(coarse, found) * (found.end - found.begin)
            missing = length(1000 * view.traffic.width_s * (window.end - window.begin))
            message = (
                f"no event for about {missing}, {view.when(window)}, where about {number(local)} are usual"
            )
            yield Found(message, "", "", view.times(window) | {"expected": round(local)})
            return


def hole(counts: Ints) -> Window | None:
    """The longest run of empty bins, if chance cannot have made it.

    The chance is that of the run by how often bins are empty outside of it; and where traffic comes in
    clumps, the next longest run tells that empty bins are no independent draws.
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], (counts == 0).astype(np.int8), [0]))))
    runs = sorted(((int(e - b), int(b)) for b, e in zip(edges[::2], edges[1::2], strict=True)), reverse=True)
    if not runs or len(counts) < LEAST_BINS:
        return None
    size, begin = runs[0]
    second = runs[1][0] if len(runs) > 1 else 0
    outside = len(counts) - size
    empty = (np.count_nonzero(counts == 0) - size + 1) / (outside + 1)
    window = Window(begin, begin + size)
    steady = 2 <= size <= outside and size >= HOLE_LONGER * second
    if not steady or len(counts) * empty**size > HOLE_CHANCE or _local(counts, window) * size < HOLE_EVENTS:
        return None
    return window


def _local(counts: Ints, window: Window) -> float:
    """Events in a bin, beside the window; the lower of both sides."""
    sides = (counts[max(0, window.begin - 6) : window.begin], counts[window.end : window.end + 6])
    return min((float(np.median(side)) for side in sides if len(side)), default=0.0)


def missed(view: View) -> Iterator[Found]:
    """What a tail was told that it missed."""
    if view.skipped.gaps:
        many = f": {number(view.skipped.dropped)} events" if view.skipped.dropped else ""
        times = f"{view.skipped.gaps} time{'' if view.skipped.gaps == 1 else 's'}"
        message = f"the tail that was recorded was told {times} that events are missing{many}"
        yield Found(message, "", "", {"marks": view.skipped.gaps, "dropped": view.skipped.dropped})


def clock_steps(view: View) -> Iterator[Found]:
    """Places where time goes back within one recording."""
    traffic = view.traffic
    if not view.ordered:
        message = "the order of events was not looked at: DuckDB reads in parallel"
        yield Found(message, "--engine python looks", "", {}, Status.SKIP)
        return
    if traffic.backwards > max(20, UNORDERED * traffic.events):
        share = percent(traffic.backwards, traffic.events)
        message = f"the events are not in the order of time ({share} go back): nothing is said of the clock"
        yield Found(message, "sort by timestamp, or read what was recorded itself", "", {}, Status.SKIP)
        return
    if traffic.steps:
        step = max(traffic.steps, key=lambda one: one.before - one.after)
        back = length(1000 * (step.before - step.after))
        times = f"{len(traffic.steps)} time{'' if len(traffic.steps) == 1 else 's'}"
        message = f"the clock was set back {times}, by up to {back} at {view.at(step.before)}"
        yield Found(message, "", "", {"steps": len(traffic.steps), "at": utc_iso(step.before)})


def unread_lines(view: View) -> Iterator[Found]:
    """What was skipped."""
    skipped = view.skipped
    if skipped.count and skipped.first is not None:
        name, line, why = skipped.first
        lines = f"{number(skipped.count)} line{'' if skipped.count == 1 else 's'}"
        message = f"{lines} could not be read as events; the first: {why}"
        yield Found(message, "", "", {"count": skipped.count}, None, Location(name, line))


def broken_files(view: View) -> Iterator[Found]:
    """Files that could not be read to their end."""
    for name, why in view.skipped.broken:
        yield Found(f"could not be read to its end: {why}", "", "", {}, None, Location(name))


def _of(traffic: Traffic, name: str, direction: str) -> list[int]:
    return traffic.numbers(lambda type_, _, way: type_ == name and way == direction)


def _same_age(traffic: Traffic, name: str, window: Window | None) -> tuple[float, int, int] | None:
    """The age, how many ended at it, and how many ended; None where ages differ."""
    lives: Spread = traffic.spread(LIFE, _of(traffic, name, "disconnect"), window)
    if lives.size < LEAST_ENDED:
        return None
    near = [
        int(lives.counts[np.abs(lives.values - value) <= AGE_WIDTH * value].sum()) for value in lives.values
    ]
    best = int(np.argmax(near))
    if lives.values[best] < LEAST_AGE_S or near[best] < SAME_AGE * lives.size:
        return None
    return float(lives.values[best]), near[best], lives.size
