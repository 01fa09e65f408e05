"""Incidents by the code of the rule that has to find them, each at some strengths, weakest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from exai_ops.monitor.events import Event

from .traffic import BEGIN, Source

Incident = Callable[[Source, float], list[Event]]
AT: Final = 1500.0
"""Seconds after the beginning of the hour."""


def _within(lasts_s: float) -> Callable[[float], bool]:
    return lambda at: AT <= at < AT + lasts_s


def error_burst(source: Source, share: float) -> list[Event]:
    """For 3 minutes so many of a provider's answers are errors."""
    here = _within(180)
    source.fails = lambda at: share if here(at) else 0.008
    return source.quiet().events


def failing(source: Source, share: float) -> list[Event]:
    """They are all along."""
    source.fails = lambda _at: share
    return source.quiet().events


def shift(source: Source, factor: float) -> list[Event]:
    """From then on a provider takes so many times as long."""
    source.slower = lambda at: factor if at >= AT else 1.0
    return source.quiet().events


def stretch(source: Source, factor: float) -> list[Event]:
    """For 15 minutes."""
    here = _within(900)
    source.slower = lambda at: factor if here(at) else 1.0
    return source.quiet().events


def tail(source: Source, factor: float) -> list[Event]:
    """Two in a hundred of the store's writes take so many times as long."""
    events = source.quiet().events
    return [
        event._replace(response_time_ms=event.response_time_ms * factor)
        if event.function_name == "append" and event.response_time_ms and source.rng.random() < 0.02
        else event
        for event in events
    ]


def throttled(source: Source, share: float) -> list[Event]:
    """For 4 minutes so many requests are refused by a rate limit."""
    here = _within(240)
    source.limits = lambda at: share if here(at) else 0.0005
    return source.quiet().events


def storm(source: Source, connections: float) -> list[Event]:
    """So many connections are lost and made again within 20 s."""
    for at in source.rng.uniform(AT, AT + 20, int(connections)).tolist():
        lived = float(source.rng.exponential(400))
        source.add(at, "websocket", "disconnect", "connection", metadata={"duration_s": lived})
        source.add(at + 0.5, "websocket", "connect", "connection")
    return source.quiet().events


def timer(source: Source, share: float) -> list[Event]:
    """So many of 40 connections end at 45 s."""
    for at in source.rng.uniform(0, 3500, 40).tolist():
        same = source.rng.random() < share
        source.connection(
            at, 45.0 + source.rng.normal(0, 0.3) if same else float(source.rng.exponential(300))
        )
    return source.quiet().events


def growing(source: Source, factor: float) -> list[Event]:
    """Waits grow from 50 ms to so many times that."""
    source.waits_ms = lambda at: 50 * factor ** (at / source.lasts)
    return source.quiet().events


def leak(source: Source, count: float) -> list[Event]:
    """So many permits are named as leaked."""
    for _ in range(int(count)):
        source.add(AT, "websocket", "error", "permit_leak", error="permit leaked: owner done")
    return source.quiet().events


def hole(source: Source, lasts_s: float) -> list[Event]:
    """For so long nothing was recorded."""
    here = _within(lasts_s)
    return [event for event in source.quiet().events if not here(event.timestamp - BEGIN)]


def step(source: Source, back_s: float) -> list[Event]:
    """The clock is set back by so many seconds."""
    events = source.quiet().events
    return [
        event if event.timestamp < BEGIN + AT else event._replace(timestamp=event.timestamp - back_s)
        for event in events
    ]


INCIDENTS: Final[tuple[tuple[str, Incident, tuple[float, ...]], ...]] = (
    ("MON001", error_burst, (0.1, 0.2, 0.4, 0.8)),
    ("MON002", failing, (0.15, 0.3, 0.6)),
    ("MON003", shift, (1.5, 1.75, 2.0, 3.0)),
    ("MON003", stretch, (1.75, 2.0, 3.0)),
    ("MON004", tail, (300.0, 1000.0, 3000.0)),
    ("MON005", throttled, (0.1, 0.2, 0.5)),
    ("MON006", storm, (20, 30, 60)),
    ("MON007", timer, (0.6, 0.8, 1.0)),
    ("MON008", failing, (0.15, 0.25, 0.5)),
    ("MON009", growing, (4, 10, 40)),
    ("MON010", leak, (1,)),
    ("MON011", hole, (30, 60, 180)),
    ("MON013", step, (2, 10, 120)),
)
