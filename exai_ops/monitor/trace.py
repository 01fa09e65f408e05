"""One request's events as spans: where its time went, and a drawing of it.

What the daemon tells of a call, in the order of time::

    websocket  receive   call_tool   the call has come in
    permits    receive   take        it had to wait for its permit, and has it
    kimi, glm  send      ...         a provider is asked
    permits    receive   switch      it had to wait for another provider's permit
    kimi, glm  receive   ...         the answer; or error, rate_limit
    websocket  send      TOOL        the result, with all waiting of the call; or error

The result alone is enough for the call, its queue, its journal and its end; each other event adds its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, TypeAlias

from exai_ops.monitor.events import Event

PROVIDERS: Final = ("kimi", "glm")
_SHOWN: Final = ("model", "status", "prompt_tokens", "completion_tokens", "retry_after_s", "pieces")
_ENDS: Final = ("receive", "error", "rate_limit")

CallKey: TypeAlias = tuple[str, str]
"""Session, request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of a call.

    Attributes:
        name: ``queue``, ``journal``, ``permit glm``, ``kimi 1`` (the provider and which of its attempts),
            ``first token``, ``streaming``, ``backoff``, ``failover``, ``refused``, ``result``; the tool
            for the whole.
        started_at: Seconds since the epoch.
        duration_ms: Until the last event known, for a span that is ``open``.
        depth: 0 for the call, 1 for its parts, 2 for the parts of an attempt.
        error: One line, None where it went well.
        open: Whether its end is not known.
        detail: Of an attempt: model, status, tokens, retry_after_s, as far as they are known.
    """

    name: str
    started_at: float
    duration_ms: float
    depth: int
    error: str | None = None
    open: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ended_at(self) -> float:
        """Seconds since the epoch."""
        return self.started_at + self.duration_ms / 1000


def calls(events: Iterable[Event], request: str, session: str = "") -> dict[CallKey, list[Event]]:
    """The events of each call whose ids begin so, in their order; ids are unique within a session alone."""
    found: defaultdict[CallKey, list[Event]] = defaultdict(list)
    for event in events:
        key = call_of(event)
        if key is not None and key[1].startswith(request) and key[0].startswith(session):
            found[key].append(event)
    return dict(found)


def call_of(event: Event) -> CallKey | None:
    """The call that an event belongs to, or None."""
    metadata = event.metadata or {}
    request = metadata.get("request")
    return (str(metadata.get("session", "")), str(request)) if request else None


def spans(events: Iterable[Event]) -> list[Span]:
    """The spans of one call in the order of their start, the call itself first; empty without events."""
    told = sorted(events, key=lambda event: event.timestamp)
    if not told:
        return []
    result = next((event for event in reversed(told) if is_result(event)), None)
    call = _call(told, result)
    attempts = _attempts(told, call.ended_at)
    parts = [*_refused(told, result), *_waits(told), *_of_result(result, told), *attempts, *_gaps(attempts)]
    parts.sort(key=lambda span: span.started_at)
    return [call, *(span for part in parts for span in (part, *_within(part)))]


def is_result(event: Event) -> bool:
    """Whether it tells the end of a call."""
    return (
        event.connection_type == "websocket"
        and event.direction in ("send", "error")
        and event.response_time_ms is not None
    )


def _call(told: Sequence[Event], result: Event | None) -> Span:
    started_at = min(_began(event) for event in told)
    ended_at = told[-1].timestamp if result is None else result.timestamp
    named = (str(event.metadata["tool"]) for event in told if event.metadata and event.metadata.get("tool"))
    return Span(
        name=result.function_name if result is not None else next(named, "call"),
        started_at=started_at,
        duration_ms=max(0.0, (ended_at - started_at) * 1000),
        depth=0,
        error=None if result is None else result.error,
        open=result is None,
    )


def _began(event: Event) -> float:
    return event.timestamp - (event.response_time_ms or 0.0) / 1000


def _waits(told: Iterable[Event]) -> list[Span]:
    """What was waited for to be permitted."""
    return [
        Span(
            name="queue"
            if event.function_name == "take"
            else f"permit {_of(event, 'provider') or ''}".strip(),
            started_at=_began(event),
            duration_ms=event.response_time_ms or 0.0,
            depth=1,
            error=event.error,
        )
        for event in told
        if event.connection_type == "permits"
    ]


def _refused(told: Iterable[Event], result: Event | None) -> list[Span]:
    """Earlier results under the same id: only a call that was refused may be made again."""
    return [
        Span(
            name="refused",
            started_at=_began(event),
            duration_ms=event.response_time_ms or 0.0,
            depth=1,
            error=event.error,
        )
        for event in told
        if is_result(event) and event is not result
    ]


def _of_result(result: Event | None, told: Sequence[Event]) -> list[Span]:
    """What the result tells of the time before and behind the tool."""
    if result is None:
        return []
    found: list[Span] = []
    queue_ms, journal_ms, end_ms = (
        _number(result, f"{name}_ms") for name in ("queue_wait", "journal", "result")
    )
    if not any(event.connection_type == "permits" and event.function_name == "take" for event in told):
        if result.error == "OVER_CAPACITY":
            queue_ms = result.response_time_ms
        if queue_ms is not None:
            found.append(Span(name="queue", started_at=_began(result), duration_ms=queue_ms, depth=1))
    if journal_ms is not None:
        after = _began(result) + (queue_ms or 0.0) / 1000
        found.append(Span(name="journal", started_at=after, duration_ms=journal_ms, depth=1))
    if end_ms is not None:
        before = result.timestamp - end_ms / 1000
        found.append(Span(name="result", started_at=before, duration_ms=end_ms, depth=1))
    return found


def _attempts(told: Iterable[Event], ended_at: float) -> list[Span]:
    """Each request to a provider, with its outcome where that is known."""
    found: list[Span] = []
    asked: dict[str, Event] = {}
    numbers: defaultdict[str, int] = defaultdict(int)
    for event in told:
        provider = event.connection_type
        if provider not in PROVIDERS:
            continue
        if event.direction == "send":
            if provider in asked:
                found.append(_attempt(asked.pop(provider), None, numbers[provider], ended_at))
            asked[provider] = event
            numbers[provider] += 1
        elif event.direction in _ENDS:
            sent = asked.pop(provider, None)
            numbers[provider] += sent is None
            found.append(_attempt(sent, event, numbers[provider], ended_at))
    found += [_attempt(sent, None, numbers[provider], ended_at) for provider, sent in asked.items()]
    return sorted(found, key=lambda span: span.started_at)


def _attempt(sent: Event | None, end: Event | None, number: int, ended_at: float) -> Span:
    """One request to a provider; at least one of its two events is known."""
    event = end or sent
    if event is None:
        raise ValueError("an attempt without an event")
    started_at = _began(end) if end is not None else event.timestamp
    failed = end is not None and (end.error is not None or end.direction != "receive")
    metadata = event.metadata or {}
    first_ms = _number(event, "first_token_ms")
    detail = {name: metadata[name] for name in _SHOWN if metadata.get(name) is not None}
    return Span(
        name=f"{event.connection_type} {number}",
        started_at=started_at,
        duration_ms=(end.response_time_ms or 0.0) if end else max(0.0, (ended_at - started_at) * 1000),
        depth=1,
        error=(event.error or event.direction) if failed else None,
        open=end is None,
        detail=detail if first_ms is None else detail | {"first_token_ms": first_ms},
    )


def _gaps(attempts: Sequence[Span]) -> list[Span]:
    """The time between an attempt that failed and the next one."""
    return [
        Span(
            name="backoff" if provider_of(before) == provider_of(after) else "failover",
            started_at=before.ended_at,
            duration_ms=(after.started_at - before.ended_at) * 1000,
            depth=1,
        )
        for before, after in pairwise(attempts)
        if before.error is not None and after.started_at > before.ended_at
    ]


def provider_of(span: Span) -> str | None:
    """The provider that a span is a request to, or None."""
    name = span.name.partition(" ")[0]
    return name if span.depth == 1 and name in PROVIDERS else None


def _within(part: Span) -> list[Span]:
    """The parts of an attempt that streamed."""
    first_ms = part.detail.get("first_token_ms")
    if first_ms is None:
        return []
    first_ms = min(max(0.0, first_ms), part.duration_ms)
    streaming_at = part.started_at + first_ms / 1000
    return [
        Span(name="first token", started_at=part.started_at, duration_ms=first_ms, depth=2),
        Span(name="streaming", started_at=streaming_at, duration_ms=part.duration_ms - first_ms, depth=2),
    ]


def _of(event: Event, name: str) -> Any:
    return (event.metadata or {}).get(name)


def _number(event: Event, name: str) -> float | None:
    value = _of(event, name)
    return (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        else None
    )


# --- the drawing -----------------------------------------------------------------------------

_NAME: Final = 16
_TIME: Final = 11
_LEAST: Final = 10
"""Columns of the bars, also where ``width`` has no room for them."""
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


def waterfall(found: Sequence[Span], width: int = 100) -> str:
    """The spans as bars below each other, at most ``width`` columns wide; no line break at the end.

    What went wrong, and an attempt's figures, stand on a line below; a ``+`` at the time says that there is
    no end yet.
    """
    if not found:
        return ""
    began = found[0].started_at
    total_ms = max((span.ended_at - began) * 1000 for span in found)
    longest = max(2 * span.depth + len(_clean(span.name)) for span in found) + 1
    name = min(max(_NAME, longest), max(_NAME, width // 3))
    room = max(_LEAST, width - name - _TIME - 1)
    columns_per_ms = room / max(total_ms, 1e-9)
    lines: list[str] = []
    for span in found:
        label = ("  " * span.depth + _clean(span.name))[: name - 1].ljust(name)
        start = (span.started_at - began) * 1000 * columns_per_ms
        bar = _bar(start, span.duration_ms * columns_per_ms, room)
        lines.append(label + bar + _time(span).rjust(_TIME))
        if told := _note(span):
            lines.append(_cut("  " * (span.depth + 1) + told, width))
    return "\n".join(lines)


def _bar(start: float, length: float, room: int) -> str:
    """A bar of at least an eighth of a column, which begins at a whole one."""
    first = min(room - 1, max(0, int(start + 0.01)))  # what the clock's rounding may take
    eighths = max(1, min(round(length * 8), (room - first) * 8))
    whole, rest = divmod(eighths, 8)
    return (" " * first + "█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(room)


def _time(span: Span) -> str:
    ms = span.duration_ms
    shown = f"{ms:.3f}" if ms < 1 else f"{ms:.1f}" if ms < 1000 else f"{ms:,.0f}"
    return f"{shown}{'+' if span.open else ''} ms"


def _note(span: Span) -> str:
    detail = [
        f"{name}={_clean(str(value))}" for name, value in span.detail.items() if name != "first_token_ms"
    ]
    return "; ".join(part for part in (_clean(span.error or ""), " ".join(detail)) if part)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(1, width - 1)] + "…"


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
