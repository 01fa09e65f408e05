"""Events and statistics as a JSON document, and its way to a file, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from exai_ops.monitor.aggregates import TypeStats
from exai_ops.monitor.events import Event, RawEvent, unpacked
from exai_ops.timezones import utc_iso, utc_isos


class _Plain(msgspec.Struct, gc=False):
    """An event under its exported keys: ``Event.exported`` at a tenth of its price."""

    timestamp: float
    datetime: str
    connection_type: str
    direction: str
    script: str
    function: str
    data_size_bytes: int
    response_time_ms: float | None
    error: str | None
    metadata: Mapping[str, Any]


class _Exported(_Plain, gc=False, omit_defaults=True):
    """The same of an event that may stand for others."""

    weight: int = 1


def document(summary: Mapping[str, TypeStats], events: Iterable[RawEvent]) -> bytes:
    """``{"summary": {type: statistics}, "recent_events": [...]}``; events in the order given.

    What JSON has no word for is shown as text; an event whose metadata cannot be shown at all keeps its
    other fields.
    """
    exported = _exported(list(events))
    try:
        return _ENCODER.encode({"summary": summary, "recent_events": exported})
    except Exception:  # noqa: BLE001 metadata is foreign: its __str__ may raise anything
        named = {_text(name): stats for name, stats in summary.items()}
        return _ENCODER.encode({"summary": named, "recent_events": [_encodable(one) for one in exported]})


def _exported(events: Sequence[RawEvent]) -> list[_Plain]:
    """In one expression, and without a call for what most events do not need: half of an export's time."""
    plain, weighed = _Plain, _Exported
    stamps = utc_isos([event[0] for event in events])
    return [
        plain(at, stamp, type_, direction, script, function, size, ms, error, more)
        if weight == 1 and type(more) is dict
        else weighed(
            at, stamp, type_, direction, script, function, size, ms, error, unpacked(more) or {}, weight
        )
        for (at, type_, direction, script, function, size, ms, error, more, weight), stamp in zip(
            events, stamps, strict=True
        )
    ]


def write_atomically(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``: a reader sees the old file or the whole new one.

    The file is readable by its owner alone. Raises OSError, leaving what was there.
    """
    with replacing(path) as part:
        part.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty file beside ``path``, which takes its place at the end, on disk by then; nothing is left of it
    when anything is raised. Raises OSError.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}.", suffix=".part")
    part = Path(name)
    try:
        os.close(descriptor)
        yield part
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _encodable(event: _Plain) -> msgspec.Raw:
    try:
        return msgspec.Raw(_ENCODER.encode(event))
    except Exception as error:  # noqa: BLE001 as above
        reason = {"unencodable": type(error).__name__}
    for name in ("connection_type", "direction", "script", "function", "error"):
        setattr(event, name, _text(getattr(event, name)))
    event.metadata = reason
    return msgspec.Raw(_ENCODER.encode(event))


def _text(value: object) -> str | None:
    return None if value is None else str(value).encode(errors="replace").decode()


_ENCODER = msgspec.json.Encoder(enc_hook=str)


def encoded(event: Event) -> bytes:
    """One event as JSON, under its exported keys; foreign values as ``document`` shows them."""
    timestamp, type_, direction, script, function, size, ms, error, more, weight = event
    exported = _Exported(
        timestamp,
        utc_iso(timestamp),
        type_,
        direction,
        script,
        function,
        size,
        ms,
        error,
        more or {},
        weight,
    )
    try:
        return _ENCODER.encode(exported)
    except Exception:  # noqa: BLE001 metadata is foreign: its __str__ may raise anything
        return bytes(_encodable(exported))


def encoded_summary(summary: Mapping[str, TypeStats]) -> bytes:
    """Statistics by type as JSON."""
    return _ENCODER.encode({_text(name): stats for name, stats in summary.items()})
