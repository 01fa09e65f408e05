"""Rules about what providers refuse, and what is asked again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from exai_ops.findings import Status
from exai_ops.monitor.analysis.bursts import bursts
from exai_ops.monitor.analysis.cube import AFTER, COUNT, ERROR, RETRY, Ints
from exai_ops.monitor.analysis.table import Context, Found, Rule
from exai_ops.monitor.analysis.traffic import Traffic, Window

LIMITED_LEAST: Final = 5
LIMITED_SHARE: Final = 0.03
OFTEN: Final = 0.2
RETRIES_LEAST: Final = 10
AMPLIFIED: Final = 1.25
AMPLIFIED_BURST: Final = 1.5
FAILED: Final = 0.5
"""Of the requests after the first, this part must follow a failure: others are rounds of a tool's use."""


def throttled(context: Context) -> Iterable[Found]:
    """Providers that refuse requests by rate."""
    traffic = context.traffic
    for name in traffic.types:
        limited = _of(traffic, name, "rate_limit")
        total = int(traffic.cells(COUNT, limited).counts.sum())
        if total < LIMITED_LEAST:
            continue
        sent = int(traffic.cells(COUNT, _of(traffic, name, "send")).counts.sum())
        whole = max(sent, total)
        over_time = traffic.over_time(COUNT, limited)
        seen = list(bursts(over_time, np.ones(len(over_time)), least=LIMITED_LEAST, factor=4.0))
        if total < LIMITED_SHARE * whole and not seen:
            continue
        window = seen[0].window if seen else None
        told = f", {seen[0].found} of them {context.when(seen[0].window)}" if seen else ""
        said = f"{total} of {whole} requests were refused by rate (429){told}{_advised(traffic, limited)}"
        worse = Status.ERROR if total >= OFTEN * whole else None
        example = traffic.example(ERROR, limited, window) or traffic.example(AFTER, limited, window)
        yield Found(name, said, total, window, example, _fewer(name), worse)


def _advised(traffic: Traffic, series: Sequence[int]) -> str:
    spread = traffic.spread(AFTER, series)
    median, longest = spread.percentile(50), spread.percentile(100)
    if median is None or longest is None:
        return "; it advises no wait"
    return f"; it advises to wait {median:.3g} s (median), {longest:.3g} s at most"


def _fewer(name: str) -> str:
    if name in ("kimi", "glm"):
        return f"lower EXAI_WS_{name.upper()}_MAX_INFLIGHT to what the account allows; calls then wait here"
    return "send it less at once, or wait as long as it advises"


def amplified(context: Context) -> Iterable[Found]:
    """Providers that are asked several times for one answer because requests fail."""
    traffic = context.traffic
    for name in traffic.types:
        sends = _of(traffic, name, "send")
        again, sent = traffic.over_time(RETRY, sends), traffic.over_time(COUNT, sends)
        failures = traffic.over_time(COUNT, [*_of(traffic, name, "error"), *_of(traffic, name, "rate_limit")])
        total = int(again.sum())
        if total < RETRIES_LEAST:
            continue
        everything = Window(0, traffic.bins)
        if _factor(again, sent, everything) >= AMPLIFIED and _after_failures(again, failures, everything):
            yield _amplified(context, name, again, sent, None)
            continue
        for burst in bursts(again, sent, least=RETRIES_LEAST, factor=3.0):
            window = burst.window
            if _factor(again, sent, window) >= AMPLIFIED_BURST and _after_failures(again, failures, window):
                yield _amplified(context, name, again, sent, window)
                break


def _factor(again: Ints, sent: Ints, window: Window) -> float:
    requests, more = (int(one[window.begin : window.end].sum()) for one in (sent, again))
    return requests / max(1, requests - more)


def _after_failures(again: Ints, failures: Ints, window: Window) -> bool:
    begin = max(0, window.begin - 1)
    return int(failures[begin : window.end].sum()) >= FAILED * int(again[window.begin : window.end].sum())


def _amplified(context: Context, name: str, again: Ints, sent: Ints, window: Window | None) -> Found:
    at = window or Window(0, context.traffic.bins)
    count = int(again[at.begin : at.end].sum())
    when = "" if window is None else f" {context.when(window)}"
    said = (
        f"{_factor(again, sent, at):.1f} requests for each completion{when}: {count} of "
        f"{int(sent[at.begin : at.end].sum())} were made again after a failure"
    )
    hint = f"EXAI_PROVIDER_ATTEMPTS bounds them; exai monitor tail --type {name} --errors says why they fail"
    example = context.traffic.example(RETRY, _of(context.traffic, name, "send"), window)
    return Found(name, said, count, window, example, hint)


def _of(traffic: Traffic, name: str, direction: str) -> list[int]:
    return traffic.numbers(name, only=(direction,))


RULES: Final = (
    Rule(
        "MON005",
        Status.WARNING,
        "no provider refuses requests by rate",
        "lower EXAI_WS_KIMI_MAX_INFLIGHT or EXAI_WS_GLM_MAX_INFLIGHT to what the account allows",
        "At least 5 events of the direction `rate_limit`, which are 3 % of the requests or come in a burst."
        " An error when they are 20 %. The waits are those that the provider advised (`retry_after_s`).",
        throttled,
    ),
    Rule(
        "MON008",
        Status.WARNING,
        "one completion takes about one request",
        "EXAI_PROVIDER_ATTEMPTS bounds the requests of one completion",
        "Requests (`send` of a provider) for each that was the first of its completion (`attempt` 1): 1.25 "
        "over the whole period, or 1.5 in a burst, with at least 10 made again. Rounds in which a model "
        "uses a tool count as `attempt` too; so half of those made again must have failures beside them.",
        amplified,
    ),
)
