"""One event of a recording as it is read: what is counted of it, checked as cheaply as can be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from exai_ops.monitor.events import Event

EARLIEST: Final = 946_684_800.0
LATEST: Final = 4_102_444_800.0
"""Timestamps from 2000 to 2100 are taken for seconds since the epoch, others for damage or another unit."""

MAX_WEIGHT: Final = 1_000_000
_NAME_MAX: Final = 200


class Unreadable(Exception):
    """It is no event; the message says why, in a few words."""


class More(msgspec.Struct, gc=False):
    """The metadata that is counted or shown as evidence; see ``events.CORRELATION``."""

    attempt: int | None = None
    permit_wait_ms: float | None = None
    queue_wait_ms: float | None = None
    duration_s: float | None = None
    retry_after_s: float | None = None
    status: int | None = None
    session: str | None = None
    request: str | None = None


Counted: TypeAlias = Annotated[int, msgspec.Meta(ge=-(1 << 62), le=1 << 62)]
"""A number that an array can hold; whether it can be counted is looked at later."""


class Line(msgspec.Struct, gc=False):
    """An event, in the order of an export's keys, which is the quickest to decode."""

    timestamp: float
    connection_type: str
    direction: str
    function: str
    data_size_bytes: Counted = 0
    response_time_ms: float | None = None
    error: str | None = None
    metadata: More | None = None
    weight: Counted = 1


def leniently(value: Any) -> Line:
    """A line from what was decoded: numbers may be text, a time may be ISO 8601, metadata may hold anything.

    Raises Unreadable.
    """
    if not isinstance(value, Mapping):
        raise Unreadable("not an object")
    if "timestamp" not in value or "connection_type" not in value:
        raise Unreadable("not an event: it has no timestamp or no connection_type")
    fields = dict(value)
    fields["timestamp"] = _instant(fields["timestamp"])
    fields.setdefault("function", fields.get("function_name") or "")
    fields.setdefault("direction", "")
    fields["metadata"] = more_of(fields.get("metadata"))
    for name, default in (("data_size_bytes", 0), ("response_time_ms", None), ("weight", 1)):
        if fields.get(name) in (None, ""):
            fields[name] = default
    if fields.get("error") == "":
        fields["error"] = None
    try:
        line = msgspec.convert(fields, Line, strict=False)
    except msgspec.ValidationError as error:
        raise Unreadable(str(error).partition("`, got")[0].replace("`", "")) from error
    return checked(line)


def checked(line: Line) -> Line:
    """The line, if what it holds can be counted. Raises Unreadable."""
    if not EARLIEST <= line.timestamp < LATEST:
        raise Unreadable("the timestamp is not in seconds since the epoch")
    if line.data_size_bytes < 0 or line.data_size_bytes > 1 << 53:
        raise Unreadable("the size is out of range")
    if line.response_time_ms is not None and not 0 <= line.response_time_ms <= MAX_MS:
        raise Unreadable("the response time is out of range")
    if not 1 <= line.weight <= MAX_WEIGHT:
        raise Unreadable("the weight is out of range")
    return line


MAX_MS: Final = 1e12


def more_of(value: Any) -> More | None:
    """The metadata that is counted, from any: what is of another type than it should be is left out."""
    if isinstance(value, str | bytes):
        value = decoded(value)
    if not isinstance(value, Mapping) or not value:
        return None
    return More(
        session=_text(value.get("session")),
        request=_text(value.get("request")),
        attempt=_whole(value.get("attempt")),
        permit_wait_ms=_number(value.get("permit_wait_ms")),
        queue_wait_ms=_number(value.get("queue_wait_ms")),
        duration_s=_number(value.get("duration_s")),
        retry_after_s=_number(value.get("retry_after_s")),
        status=_whole(value.get("status")),
    )


def _instant(value: Any) -> Any:
    """Seconds since the epoch of ISO 8601 with an offset; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise Unreadable("the timestamp is neither a number nor ISO 8601") from None
    if moment.tzinfo is None:
        raise Unreadable("the timestamp has no offset from UTC")
    return moment.timestamp()


def _text(value: Any) -> str | None:
    return str(value)[:_NAME_MAX] if isinstance(value, str | int) else None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def line_of(event: Event) -> Line:
    """The line of an event that was read whole."""
    line = Line(
        event.timestamp,
        event.connection_type,
        event.direction,
        event.function_name,
        event.data_size_bytes,
        event.response_time_ms,
        event.error,
        more_of(event.metadata),
        event.weight,
    )
    return checked(line)


def event_of(value: Any) -> Event:
    """The whole event of what was decoded, for filters. Raises Unreadable."""
    line = leniently(value)
    metadata = value.get("metadata")
    if isinstance(metadata, str | bytes):
        metadata = decoded(metadata)
    return Event(
        line.timestamp,
        line.connection_type,
        line.direction,
        str(value.get("script") or value.get("script_name") or ""),
        line.function,
        line.data_size_bytes,
        line.response_time_ms,
        line.error,
        metadata if isinstance(metadata, Mapping) else None,
        line.weight,
    )


def decoded(text: str | bytes) -> Any:
    """What JSON holds; None for what is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
