"""Which call is meant by the beginning of its id, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from exai_ops.monitor.events import Event
from exai_ops.monitor.trace import CallKey, Span
from exai_ops.timezones import utc_iso


def meant(found: Iterable[CallKey], request: str) -> list[CallKey]:
    """The calls that may be meant, of those that begin so: those of exactly this id, else all."""
    found = list(found)
    return [key for key in found if key[1] == request] or found


def complete(events: Iterable[Event]) -> bool:
    """Whether a call's beginning is among its events."""
    return any(one.connection_type == "websocket" and one.direction == "receive" for one in events)


def merged(older: Iterable[Event], newer: Iterable[Event]) -> list[Event]:
    """Events of both, in the order of time; one that is in both, once."""
    known = {_identity(event): event for event in (*older, *newer)}
    return sorted(known.values(), key=lambda event: event.timestamp)


def _identity(event: Event) -> tuple[object, ...]:
    return tuple(event[:8])


def told(key: CallKey, spans: Sequence[Span], events: Sequence[Event]) -> dict[str, Any]:
    """A call as JSON values."""
    return {
        "session": key[0],
        "request": key[1],
        "tool": spans[0].name,
        "started_at": utc_iso(spans[0].started_at),
        "duration_ms": spans[0].duration_ms,
        "error": spans[0].error,
        "open": spans[0].open,
        "spans": [_span(span, spans[0].started_at) for span in spans],
        "events": [event.exported() for event in events],
    }


def _span(span: Span, began: float) -> Mapping[str, Any]:
    return {
        "name": span.name,
        "depth": span.depth,
        "started_at": utc_iso(span.started_at),
        "after_ms": round((span.started_at - began) * 1000, 3),
        "duration_ms": round(span.duration_ms, 3),
        "error": span.error,
        "open": span.open,
        "detail": dict(span.detail),
    }
