"""Rules about connections that come and go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Final

import numpy as np

from exai_ops.findings import Status
from exai_ops.monitor.analysis.bursts import Burst, bursts
from exai_ops.monitor.analysis.cube import COUNT, ERROR, LIFE, MS, Floats
from exai_ops.monitor.analysis.table import Context, Found, Rule
from exai_ops.monitor.analysis.traffic import Spread, Traffic, Window

LEAST: Final = 12
FACTOR: Final = 4.0
WORK: Final = 0.5
"""Calls above the usual for each connect above the usual; with more, clients come to work."""
AFTERWARDS: Final = 4
SLACK: Final = 10
"""Percentile of the calls in windows as long: what there is without anybody who comes to work."""
LIVES: Final = 15
CLUSTER: Final = 0.6
NARROW: Final = 1.13
"""A cluster's longest life is at most so many times its shortest."""
LEAST_LIFE_S: Final = 5.0
IDLE_S: Final = (30.0, 60.0, 100.0, 240.0, 300.0, 350.0, 600.0)
"""Idle timeouts that proxies and load balancers are shipped with."""
NEAR: Final = 0.08


def storms(context: Context) -> Iterable[Found]:
    """Windows in which many clients connect that do no work."""
    traffic = context.traffic
    for name in traffic.types:
        connects = _of(traffic, name, "connect")
        over_time = traffic.over_time(COUNT, connects)
        gone = _of(traffic, name, "disconnect")
        ended = traffic.over_time(COUNT, gone)
        done = traffic.numbers(name, only=("send", "error"))
        calls = _calls(traffic, done)
        for burst in bursts(over_time, np.ones(len(over_time)), least=LEAST, factor=FACTOR):
            window = burst.window
            left = int(ended[max(0, window.begin - 1) : window.end + 1].sum())
            if left < burst.found / 2 or not (_fail(traffic, gone, window) or _idle(calls, burst)):
                continue
            life = traffic.spread(LIFE, gone, window).percentile(50)
            lived = "" if life is None else f"; a connection lived {life:.3g} s (median)"
            said = (
                f"{burst.found} connects and {left} disconnects {context.when(window)}, where "
                f"{burst.expected:.1f} would be usual{lived}"
            )
            example = traffic.example(LIFE, gone, window)
            yield Found(name, said, burst.found, window, example, _why(context, life))


def _calls(traffic: Traffic, series: Sequence[int]) -> Floats:
    """Calls that ended, over time; they are timed, so they are counted coarsely and spread evenly."""
    cells = traffic.cells(MS, series)
    found = np.zeros(traffic.bins + 4)
    for step in range(4):
        found += np.bincount(cells.bins + step, cells.counts / 4, len(found))[: len(found)]
    return found[: traffic.bins]


def _fail(traffic: Traffic, gone: Sequence[int], window: Window) -> bool:
    """Whether half of the connections that ended in a window ended by an error."""
    errors = int(traffic.over_time(ERROR, gone)[window.begin : window.end].sum())
    return 2 * errors >= int(traffic.over_time(COUNT, gone)[window.begin : window.end].sum())


def _idle(calls: Floats, burst: Burst) -> bool:
    """Whether the connects came without as many calls, above what a slack window has, and its scatter.

    The calls may end some bins after the last connect.
    """
    begin, end = burst.window.begin, min(len(calls), burst.window.end + AFTERWARDS)
    summed = np.concatenate(([0.0], np.cumsum(calls)))
    windows = summed[end - begin :] - summed[: begin - end]
    usual = float(np.percentile(windows, SLACK))
    return float(windows[begin]) - usual - sqrt(usual) <= WORK * (burst.found - burst.expected)


def _why(context: Context, life: float | None) -> str:
    suspect = None if life is None else _suspect(context, life)
    if suspect is not None:
        return suspect
    return (
        "look at what the clients' logs say of the close code: 1012 is a restart of the daemon, 1011 a ping"
        " that was not answered (EXAI_WS_PING_INTERVAL, EXAI_WS_PING_TIMEOUT), 4001 to 4003 a client that "
        "is not let in"
    )


def constant_lives(context: Context) -> Iterable[Found]:
    """Connections that end at one age, as if somebody ended them by the clock."""
    traffic = context.traffic
    for name in traffic.types:
        series = _of(traffic, name, "disconnect")
        spread = traffic.spread(LIFE, series)
        if int(traffic.cells(LIFE, series).counts.sum()) < LIVES:
            continue
        age, count = _cluster(spread)
        if age < LEAST_LIFE_S or count < CLUSTER * spread.size or count < LIVES:
            continue
        said = f"{count} of {spread.size} connections ended at the age of about {age:.0f} s"
        hint = _suspect(context, age) or (
            "something ends them by the clock: an idle timeout on the way, or the client's own; "
            "EXAI_WS_PING_INTERVAL below it keeps them alive"
        )
        yield Found(name, said, count, None, traffic.example(LIFE, series), hint)


def _cluster(spread: Spread) -> tuple[float, int]:
    """The age about which most connections ended, and how many did."""
    best_age, best = 0.0, 0
    for value in spread.values.tolist():
        within = (spread.values >= value) & (spread.values <= value * NARROW)
        count = int(spread.counts[within].sum())
        if count > best:
            best, best_age = count, float(np.average(spread.values[within], weights=spread.counts[within]))
    return best_age, best


def _suspect(context: Context, life_s: float) -> str | None:
    """What ends connections at that age, where a setting or a common timeout is near."""
    interval, timeout = context.ping_interval_s, context.ping_timeout_s
    for pings, age in ((f"EXAI_WS_PING_INTERVAL ({interval:g} s)", interval), _both(interval, timeout)):
        if age > 0 and abs(life_s - age) <= NEAR * age:
            return (
                f"that is the age of {pings}: the client did not answer a ping in time. Its loop is blocked,"
                " or a proxy drops the pings; try a longer EXAI_WS_PING_TIMEOUT"
            )
    for idle in IDLE_S:
        if abs(life_s - idle) <= NEAR * idle:
            return (
                f"{idle:g} s is an idle timeout that proxies are shipped with: set EXAI_WS_PING_INTERVAL "
                f"well below it (it is {interval:g} s), or raise the proxy's"
            )
    return None


def _both(interval: float, timeout: float) -> tuple[str, float]:
    return (
        f"EXAI_WS_PING_INTERVAL and EXAI_WS_PING_TIMEOUT ({interval:g} + {timeout:g} s)",
        interval + timeout,
    )


def _of(traffic: Traffic, name: str, direction: str) -> list[int]:
    return traffic.numbers(name, only=(direction,))


RULES: Final = (
    Rule(
        "MON006",
        Status.WARNING,
        "clients connect to work, and stay",
        "look at the close codes in the clients' logs",
        "At least 12 connects in a window, 4 times what is usual, half as many disconnects beside them; and"
        " either half of these by an error, or less than one call above the usual for two connects above "
        "the usual: scripts that connect, call and leave are no storm. How long the connections lived tells"
        " the suspect: the ping interval, or a proxy's idle timeout.",
        storms,
    ),
    Rule(
        "MON007",
        Status.WARNING,
        "connections end at ages of their own",
        "compare the age with EXAI_WS_PING_INTERVAL, EXAI_WS_PING_TIMEOUT and the proxies' idle timeouts",
        "Of at least 15 connections that ended, 60 % did at one age, within 13 % and of 5 s or more "
        "(`duration_s` of the disconnect). People and programs do not leave by the clock; unanswered pings "
        "and idle timeouts do.",
        constant_lives,
    ),
)
