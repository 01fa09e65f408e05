"""One event: what passed a boundary, when, how big, how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from exai_ops.timezones import utc_iso

CONNECTION_TYPES: Final = ("websocket", "permits", "sqlite", "redis", "supabase", "kimi", "glm")
"""The known ones; a boundary of another kind records under its own name."""

DIRECTIONS: Final = ("connect", "disconnect", "send", "receive", "error", "reject", "rate_limit")

CORRELATION: Final[Mapping[str, str]] = {
    "session": "Id of the session that called.",
    "request": "Id of the call within its session.",
    "tool": "The tool called.",
    "provider": "kimi or glm.",
    "model": "The model asked.",
    "attempt": "Which request of one completion, from 1.",
    "queue_wait_ms": "From the call's arrival to its first permit.",
    "journal_ms": "How long the store took to journal the accepted call.",
    "result_ms": "From the end of the tool until its result was kept and sent.",
    "permit_wait_ms": "All waiting for permits, another provider's included.",
    "first_token_ms": "From asking a provider to its first piece.",
    "prompt_tokens": "As the provider counted.",
    "completion_tokens": "As the provider counted.",
    "status": "HTTP status, None without an answer.",
    "retry_after_s": "What the other side advised.",
    "pieces": "Pieces of a streamed answer.",
    "cut": "Type of what ended a scope that is no error: a cancellation, an interrupt.",
    "duration_s": "How long a connection lived, on its disconnect.",
}
"""Keys of ``metadata`` by which events are joined and judged, and what they mean."""

Packed: TypeAlias = tuple[Any, ...]
"""Metadata as a hot path writes it: (keys, origin, value of the first key, of the second ...), where origin
is a mapping that a call's events share. A third of a dict's price, and of its room in the ring.
"""

Metadata: TypeAlias = Mapping[str, Any] | Packed | None

RawEvent: TypeAlias = tuple[float, str, str, str, str, int, float | None, str | None, Metadata, int]
"""An event's fields in order. What the hot path writes: a plain tuple costs a third of a named one."""


def unpacked(metadata: Metadata) -> Mapping[str, Any] | None:
    """Metadata as a mapping; of what was packed, values that are None are left out. Never raises."""
    if not isinstance(metadata, tuple):
        return metadata
    try:
        keys, origin, *values = metadata
        known = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        whole = {**(origin or {}), **known}
    except (TypeError, ValueError):
        whole = {"unreadable": "a tuple that is no packed metadata"}
    return whole


class Event(NamedTuple):
    """One event.

    Attributes:
        timestamp: Seconds since the epoch.
        connection_type: One of ``CONNECTION_TYPES``, or another boundary's name.
        direction: One of ``DIRECTIONS``.
        script_name: Where it was recorded: a module or a script.
        function_name: What was done there: few distinct names, for statistics are kept by it.
        response_time_ms: None where nothing was waited for.
        error: One line, or None; never holds a secret.
        metadata: JSON values, or None for none; never holds a secret. ``CORRELATION`` names the keys that
            mean the same everywhere.
        weight: How many events it stands for: 1, or N where one in N is kept.
    """

    timestamp: float
    connection_type: str
    direction: str
    script_name: str
    function_name: str
    data_size_bytes: int = 0
    response_time_ms: float | None = None
    error: str | None = None
    metadata: Mapping[str, Any] | None = None
    weight: int = 1

    @classmethod
    def of(cls, raw: RawEvent) -> Event:
        """The event with its metadata unpacked."""
        return cls(*raw[:8], unpacked(raw[8]), raw[9])

    def exported(self) -> dict[str, Any]:
        """The event under the keys of an export, with its ``datetime`` in ISO 8601; ``weight`` unless 1."""
        shown = {
            "timestamp": self.timestamp,
            "datetime": utc_iso(self.timestamp),
            "connection_type": self.connection_type,
            "direction": self.direction,
            "script": self.script_name,
            "function": self.function_name,
            "data_size_bytes": self.data_size_bytes,
            "response_time_ms": self.response_time_ms,
            "error": self.error,
            "metadata": self.metadata or {},
        }
        return shown if self.weight == 1 else shown | {"weight": self.weight}
