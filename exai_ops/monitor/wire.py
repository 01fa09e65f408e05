"""What is said over ``/events``, the WebSocket that pushes events and state; the page speaks it too.

::

    client: subscribe                      (again at any time: replaces the filter)
    server: subscribed, then events, dropped, gap and state frames as they come; error

One JSON object per text frame, told apart by ``op``. Sequence numbers count the events of one stream, from 1;
a stream is one life of one daemon.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from exai_ops.monitor.events import Event


class Filter(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Which events are meant: those that fit every field that is set.

    Attributes:
        types, directions, functions: Any of these; empty for all.
        grep: RE2 patterns, all of which the event's text must hold: type, direction, script, function, error,
            and metadata as shown.
        exclude: RE2 patterns, none of which it may hold.
        errors: Only events with an error, or of the directions ``error``, ``reject``, ``rate_limit``.
        slower_ms: Only events that took longer.
        session, request: Beginning of the id in the metadata.
    """

    types: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    grep: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    errors: bool = False
    slower_ms: float | None = None
    session: str = ""
    request: str = ""


class Subscribe(
    msgspec.Struct, tag="subscribe", tag_field="op", frozen=True, omit_defaults=True, kw_only=True
):
    """What a client wants.

    Attributes:
        stream, after: Go on after this number of this stream; what is no longer there is told as a gap.
        since: Seconds since the epoch: first the kept events from then on, older than the ring's included.
        last: Without ``since``: first so many of the last events that fit.
        events: Whether events are wanted.
        state_every_s: Between two ``state`` frames; 0 for none.
    """

    filter: Filter = Filter()
    stream: str | None = None
    after: int | None = None
    since: float | None = None
    last: int = 0
    events: bool = True
    state_every_s: float = 0.0


class Subscribed(msgspec.Struct, tag="subscribed", tag_field="op", frozen=True, kw_only=True):
    """The answer: whose events these are, and the number of the last one recorded."""

    stream: str
    sequence: int
    time: float
    version: str


class Events(msgspec.Struct, tag="events", tag_field="op", frozen=True, kw_only=True):
    """Events in order, as exported (``Event.exported``); all up to ``sequence`` that fit have been sent.

    What ``since`` or ``last`` asked for ends with one that is empty.
    """

    sequence: int
    events: list[dict[str, Any]]


class Dropped(msgspec.Struct, tag="dropped", tag_field="op", frozen=True, kw_only=True):
    """So many events, after ``sequence - count``, were not sent because this client reads too slowly."""

    sequence: int
    count: int


class Gap(msgspec.Struct, tag="gap", tag_field="op", frozen=True, kw_only=True):
    """Events are missing before the next: ``reason`` is ``restarted`` or ``expired``; None where nobody knows
    how many.
    """

    reason: str
    missed: int | None = None


class Problem(msgspec.Struct, tag="error", tag_field="op", frozen=True, kw_only=True):
    """The message was not understood; the connection lives, the filter is what it was."""

    message: str


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Events and errors per second over the last 1, 10 and 60 s, weights counted."""

    events_1s: float
    events_10s: float
    events_60s: float
    errors_1s: float
    errors_10s: float
    errors_60s: float


class TypeState(msgspec.Struct, frozen=True, kw_only=True):
    """A connection type: totals since the start, rates, and percentiles of the last 60 s in ms, None without
    a timed event, within ``histogram.RELATIVE_ERROR``.
    """

    total_events: int
    total_sent_bytes: int
    total_received_bytes: int
    total_errors: int
    avg_response_time_ms: float | None
    last_event_timestamp: float | None
    active_connections: int
    rates: Rates
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """The event loop's lag in ms; None before it was measured."""

    last_ms: float | None
    max_60s_ms: float | None
    p99_ms: float | None


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """A session: its id's beginning, whether a client is connected, its calls at work and in the queue."""

    id: str
    connected: bool
    inflight: int
    queued: int
    idle_s: float | None


class AlertState(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that fires now; ``since`` in seconds since the epoch."""

    rule: str
    message: str
    since: float
    runbook: str


class State(msgspec.Struct, tag="state", tag_field="op", frozen=True, kw_only=True):
    """What an operator looks at, of one moment.

    Attributes:
        time, started_at: Seconds since the epoch.
        state: ``starting``, ``ready`` or ``draining``; ``unready`` says why no call is served, or None.
        types: By connection type.
        functions: The series with the most events, at most 50, as ``SeriesNow.as_dict`` gives them.
        permits: As ``/permits`` shows them, holders included.
        providers: As ``/status`` shows them, breakers included.
        malformed: Events that could not be counted.
        sampled_out: Events that were counted and not kept.
        tails: Clients of ``/events``; ``dropped`` counts what slow ones lost, since the start.
        stored_bytes: Of the kept events on disk, None where none are kept.
    """

    time: float
    stream: str
    sequence: int
    version: str
    started_at: float
    state: str
    unready: str | None
    simulated: bool
    types: dict[str, TypeState]
    functions: list[dict[str, Any]]
    permits: dict[str, Any]
    providers: list[dict[str, Any]]
    sessions: list[SessionState]
    connections: int
    lag: Lag
    malformed: int
    sampled_out: int
    tails: int
    dropped: int
    stored_bytes: int | None
    alerts: list[AlertState]


Frame: TypeAlias = Subscribed | Events | Dropped | Gap | State | Problem


def event_of(exported: dict[str, Any]) -> Event:
    """The event that was exported. Raises KeyError where a key is missing."""
    return Event(
        timestamp=exported["timestamp"],
        connection_type=exported["connection_type"],
        direction=exported["direction"],
        script_name=exported["script"],
        function_name=exported["function"],
        data_size_bytes=exported["data_size_bytes"],
        response_time_ms=exported["response_time_ms"],
        error=exported["error"],
        metadata=exported["metadata"],
        weight=exported.get("weight", 1),
    )
