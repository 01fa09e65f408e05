"""Rules on what went wrong: errors, rate limits, attempts after the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from exai_ops.monitor.analysis.bursts import Burst, bursts
from exai_ops.monitor.analysis.cube import COUNT, ERROR, RETRY, THROTTLE, Ints
from exai_ops.monitor.analysis.model import Found, View, length, number, percent, told
from exai_ops.monitor.analysis.traffic import Spread, Traffic

STATE_CHANGES: Final = frozenset({"connect", "disconnect"})
LEAST_ERRORS: Final = 10
"""A handful of errors may fall into one stretch by chance: six did in one of several hundred quiet hours."""
FACTOR: Final = 3.0
LEAST_SHARE: Final = 0.02
"""Of the events in a burst that are errors."""
ALL_ALONG: Final = 0.1
ALL_ALONG_ERRORS: Final = 20
LEAST_LIMITS: Final = 6
LIMITED_SHARE: Final = 0.02
LEAST_RETRIES: Final = 10
RETRY_SHARE: Final = 0.15


def error_bursts(view: View) -> Iterator[Found]:
    """Windows in which a type's errors are far more frequent than in the rest of the period."""
    for name, series in _by_type(view.traffic):
        for burst in _bursts(view.traffic, ERROR, series, LEAST_ERRORS):
            worst = _most(view.traffic, ERROR, series, burst)
            example = view.example(ERROR, series, burst.window)
            message = (
                f"{name}: {burst.found} errors in {number(burst.exposure)} events, "
                f"{view.when(burst.window)}, where {number(burst.expected)} are usual; "
                f"most in {worst}{told(example)}"
            )
            evidence = view.times(burst.window) | _numbers(burst) | {"function": worst} | example
            yield Found(message, f"exai monitor tail --type {name} --errors --since 10m", name, evidence)


def errors_all_along(view: View) -> Iterator[Found]:
    """Types of which a tenth and more fails over the whole period."""
    for name, series in _by_type(view.traffic):
        errors = view.traffic.weighted(ERROR, series)
        events = view.traffic.weighted(COUNT, series)
        over_time = view.traffic.over_time(ERROR, series)
        active = np.count_nonzero(view.traffic.over_time(COUNT, series))
        lasting = np.count_nonzero(over_time) >= active / 3
        if not view.whole or errors < ALL_ALONG_ERRORS or errors < ALL_ALONG * events or not lasting:
            continue
        example = view.example(ERROR, series)
        message = f"{name}: {percent(errors, events)} of {number(events)} events are errors, all along"
        evidence = {"count": errors, "events": events} | example
        yield Found(message + told(example), f"exai monitor tail --type {name} --errors", name, evidence)


def throttling(view: View) -> Iterator[Found]:
    """Types whose other side refuses by rate limits: a share of all requests, or a burst of them."""
    for name, series in _by_type(view.traffic):
        limits = view.traffic.weighted(THROTTLE, series)
        asked = max(1, _asked(view.traffic, series))
        burst = next(_bursts(view.traffic, THROTTLE, series, LEAST_LIMITS), None)
        if burst is None and (limits < LEAST_LIMITS or limits < LIMITED_SHARE * asked):
            continue
        cells = view.traffic.cells(THROTTLE, series)
        some = cells.buckets > 0
        advised = Spread.of(cells.buckets[some], cells.counts[some]).percentile(50)
        example = view.example(THROTTLE, series)
        message = f"{name}: {limits} of {number(asked)} requests were refused by a rate limit"
        if burst is not None:
            message += f", {burst.found} of them {view.when(burst.window)}"
        if advised is not None:
            message += f"; it asks to wait {length(advised * 1000)}"
        evidence = {"count": limits, "requests": asked, "retry_after_s": advised} | example
        evidence |= {} if burst is None else view.times(burst.window)
        if name in ("kimi", "glm"):
            hint = f"lower EXAI_WS_{name.upper()}_MAX_INFLIGHT, or ask the provider for a higher limit"
        else:
            hint = f"send less at once; exai monitor tail --type {name} --direction rate_limit"
        yield Found(message + told(example), hint, name, evidence)


def retries(view: View) -> Iterator[Found]:
    """Types whose requests are attempts after the first too often."""
    for name, series in _by_type(view.traffic):
        sent = [number for number in series if view.traffic.series[number][2] == "send"]
        if not view.traffic.weighted(RETRY, sent):
            sent = list(series)
        again = view.traffic.weighted(RETRY, sent)
        asked = view.traffic.weighted(COUNT, sent)
        burst = next(_bursts(view.traffic, RETRY, sent, LEAST_RETRIES), None)
        if burst is not None and burst.found < RETRY_SHARE * burst.exposure:
            burst = None
        if again < LEAST_RETRIES or (again < RETRY_SHARE * asked and burst is None):
            continue
        first = max(1, asked - again)
        message = (
            f"{name}: {again} of {number(asked)} requests are attempts after the first, "
            f"{asked / first:.2f} for each completion"
        )
        evidence: dict[str, object] = {"count": again, "requests": asked}
        evidence["requests_per_completion"] = round(asked / first, 3)
        if burst is not None:
            message += f"; {burst.found} of {number(burst.exposure)} {view.when(burst.window)}"
            evidence |= view.times(burst.window)
        example = view.example(RETRY, sent)
        hint = f"see why the first fail: exai monitor tail --type {name} --errors"
        yield Found(message + told(example), hint, name, evidence | example)


def _by_type(traffic: Traffic) -> Iterator[tuple[str, list[int]]]:
    """Each type, and its series that are no changes of state."""
    for name in traffic.types:
        keys = enumerate(traffic.series)
        yield name, [n for n, (type_, _, way) in keys if type_ == name and way not in STATE_CHANGES]


def _bursts(traffic: Traffic, kind: int, series: Sequence[int], least: int) -> Iterator[Burst]:
    counts = traffic.over_time(kind, series)
    events: Ints = np.maximum(traffic.over_time(COUNT, series), counts)
    for burst in bursts(counts, events, least=least, factor=FACTOR):
        if burst.found >= LEAST_SHARE * burst.exposure:
            yield burst


def _most(traffic: Traffic, kind: int, series: Sequence[int], burst: Burst) -> str:
    cells = traffic.cells(kind, series)
    here = (cells.bins >= burst.window.begin) & (cells.bins < burst.window.end)
    if not here.any():
        return "none"
    return traffic.series[int(np.argmax(np.bincount(cells.series[here], cells.counts[here])))][1]


def _numbers(burst: Burst) -> dict[str, float]:
    return {
        "count": burst.found,
        "events": int(burst.exposure),
        "expected": round(burst.expected, 2),
        "score": round(burst.score, 1),
    }


def _asked(traffic: Traffic, series: Sequence[int]) -> int:
    """Requests: what was sent, else all."""
    sent = [number for number in series if traffic.series[number][2] == "send"]
    return traffic.weighted(COUNT, sent) or traffic.weighted(COUNT, series)
