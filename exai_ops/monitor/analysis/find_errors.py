"""Rules about errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from exai_ops.findings import Status
from exai_ops.monitor.analysis.bursts import bursts
from exai_ops.monitor.analysis.cube import COUNT, ERROR, MS
from exai_ops.monitor.analysis.table import Context, Found, Rule
from exai_ops.monitor.analysis.traffic import Traffic, Window

LEAST: Final = 10
FACTOR: Final = 4.0
SHARE: Final = 0.02
"""Of the events in a window; below, a burst of errors is lost in the traffic."""
OFTEN: Final = 0.25
OFTEN_LEAST: Final = 20
LEAK: Final = "permit_leak"
NOT_CALLS: Final = ("reject", "rate_limit")


def error_bursts(context: Context) -> Iterable[Found]:
    """Windows with far more errors for their events than the rest of the time."""
    traffic = context.traffic
    for name in traffic.types:
        series = traffic.numbers(name, but=("rate_limit",), without=LEAK)
        errors, events = traffic.over_time(ERROR, series), traffic.over_time(COUNT, series)
        for burst in bursts(errors, events, least=LEAST, factor=FACTOR):
            share = burst.found / max(1.0, burst.exposure)
            if share < SHARE:
                continue
            function = _worst(traffic, series, burst.window)
            example = traffic.example(ERROR, series, burst.window)
            what = f" ({example.error})" if example is not None and example.error else ""
            said = (
                f"{burst.found} errors in {burst.exposure:.0f} events {context.when(burst.window)}, where "
                f"{burst.expected:.1f} would be usual; most in {function}{what}"
            )
            hint = f"exai monitor tail --type {name} --errors follows them"
            if example is not None and example.request:
                hint = f"exai monitor trace {example.request} shows one; {hint}"
            yield Found(f"{name}/{function}", said, burst.found, burst.window, example, hint)


def _worst(traffic: Traffic, series: Sequence[int], window: Window) -> str:
    """The function with the most errors in a window."""
    cells = traffic.cells(ERROR, series)
    counts: dict[str, int] = {}
    within = (cells.bins >= window.begin) & (cells.bins < window.end)
    for number, count in zip(cells.series[within].tolist(), cells.counts[within].tolist(), strict=True):
        function = traffic.series[number][1]
        counts[function] = counts.get(function, 0) + count
    return max(counts, key=lambda function: counts[function])


def often_wrong(context: Context) -> Iterable[Found]:
    """Functions of which a large part fails all the time."""
    traffic = context.traffic
    for name, function in sorted({key[:2] for key in traffic.series}):
        if function == LEAK:
            continue
        series = traffic.numbers(name, function, but=NOT_CALLS)
        errors = int(traffic.cells(ERROR, series).counts.sum())
        timed = int(traffic.cells(MS, series).counts.sum())
        ended = max(timed, errors) if timed >= OFTEN_LEAST else int(traffic.cells(COUNT, series).counts.sum())
        if errors >= OFTEN_LEAST and errors >= OFTEN * ended:
            example = traffic.example(ERROR, series)
            what = f" ({example.error})" if example is not None and example.error else ""
            said = f"{errors} of {ended} failed, {100 * errors / ended:.0f} %{what}"
            hint = (
                f"exai monitor tail --type {name} --errors shows them; exai status says what the daemon lacks"
            )
            yield Found(f"{name}/{function}", said, errors, None, example, hint)


RULES: Final = (
    Rule(
        "MON001",
        Status.ERROR,
        "errors come no denser than they usually do here",
        "exai monitor tail --errors follows them",
        "For each connection type the errors in every window of 1, 2, 4 ... bins are compared with what the"
        " rest of the period gives for as many events (a likelihood ratio for Poisson counts, divided by "
        "how much more than Poisson's the counts vary outside). A burst has at least 10 errors, 4 times "
        "what is usual, 2 % of the window's events, and a score that chance does not reach. More traffic "
        "alone is none. Rate limits and named leaks have rules of their own.",
        error_bursts,
    ),
    Rule(
        "MON002",
        Status.ERROR,
        "three of four calls of each function succeed",
        "exai monitor tail --errors shows them",
        "Of a function a quarter or more has failed, and at least 20, over the whole period. A recording "
        "that is all outage has no burst; this rule names it. Refusals before a call (`reject`) are not "
        "counted.",
        often_wrong,
    ),
)
