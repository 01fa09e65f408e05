"""What ``/trace/REQUEST`` answers: the spans of the calls with that id, from the events in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exai_ops.monitor.events import Event
from exai_ops.monitor.trace import CallKey, Span, calls, spans

CALLS = 20
"""How many are shown: ids are the clients' own, and the beginning of one may fit many."""


def traces(events: Sequence[Event], request: str, session: str = "") -> dict[str, Any]:
    """``{"calls": [{"session", "request", "spans"}], "more": N}``, the latest first.

    Those with the very id where there are any, otherwise those whose ids begin so.
    """
    found = calls(events, request, session)
    exact = {key: own for key, own in found.items() if key[1] == request}
    latest = sorted((exact or found).items(), key=lambda item: item[1][-1].timestamp, reverse=True)
    return {
        "calls": [_call(key, spans(own)) for key, own in latest[:CALLS]],
        "more": max(0, len(latest) - CALLS),
    }


def _call(key: CallKey, found: Sequence[Span]) -> dict[str, Any]:
    return {"session": key[0], "request": key[1], "spans": [_span(span) for span in found]}


def _span(span: Span) -> dict[str, Any]:
    return {
        "name": span.name,
        "started_at": span.started_at,
        "duration_ms": round(span.duration_ms, 3),
        "depth": span.depth,
        "error": span.error,
        "open": span.open,
        "detail": dict(span.detail),
    }
