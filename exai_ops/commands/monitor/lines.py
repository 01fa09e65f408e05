"""How ``exai monitor tail`` shows an event: a line of text, of JSON, or of a template."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from string import Formatter
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from exai_ops.commands.monitor.clock import Clock
from exai_ops.commands.terminal import visible
from exai_ops.errors import CouldNotLook, UsageError
from exai_ops.monitor.events import CORRELATION
from exai_ops.monitor.filters import shown_metadata
from exai_ops.monitor.wire import Dropped, Gap, Problem

Note: TypeAlias = Dropped | Gap | Problem


class Exported(msgspec.Struct):
    """An event under its exported keys."""

    timestamp: float
    datetime: str
    connection_type: str
    direction: str
    script: str
    function: str
    data_size_bytes: int
    response_time_ms: float | None
    error: str | None
    metadata: dict[str, Any]
    weight: int = 1

    @property
    def failed(self) -> bool:
        """Whether ``filters.failed`` would say so."""
        return self.error is not None or self.direction in ("error", "reject", "rate_limit")


_EXPORTED: Final = msgspec.json.Decoder(Exported)


def exported(raw: msgspec.Raw) -> Exported:
    """The event that was sent. Raises CouldNotLook for what is none."""
    try:
        return _EXPORTED.decode(raw)
    except msgspec.ValidationError as error:
        what = f"the daemon sent what is no event: {error}"
        raise CouldNotLook(what, hint="is it of another version? exai status tells") from error


class Lines(Protocol):
    """A format."""

    def event(self, event: Exported, raw: msgspec.Raw) -> str:
        """An event, its line ends included."""

    def note(self, note: Note) -> str:
        """What is missing before the next event."""


class Ndjson:
    """Each event as it came; what is no event has ``op`` and no ``timestamp``."""

    def event(self, event: Exported, raw: msgspec.Raw) -> str:  # noqa: ARG002 - as the others
        return bytes(raw).decode() + "\n"

    def note(self, note: Note) -> str:
        return msgspec.json.encode(note).decode() + "\n"


class Text:
    """Columns; with colour, what fails is red."""

    def __init__(self, clock: Clock, *, colour: bool) -> None:
        self._clock = clock
        self._colour = colour
        self._date = ""

    def event(self, event: Exported, raw: msgspec.Raw) -> str:  # noqa: ARG002 - as the others
        at = self._clock.at(event.timestamp)
        head = "" if at.date == self._date else self._paint("2", f"-- {at.date} {at.zone} --") + "\n"
        self._date = at.date
        took = "" if event.response_time_ms is None else duration(event.response_time_ms)
        what = f"{clean(event.connection_type):<9} {clean(event.direction):<10} {clean(event.function):<20}"
        sizes = f"{size(event.data_size_bytes):>9} {took:>9}"
        weight = f" x{event.weight}" if event.weight != 1 else ""
        more = clean(shown_metadata(event.metadata))
        if event.failed:
            what = self._paint("31", f"{what} {sizes}{weight} {clean(event.error or '')}".rstrip())
        else:
            what = f"{what} {sizes}{weight}"
        end = self._paint("2", f" {more}" if more else "")
        return f"{head}{self._paint('2', f'{at.time} {at.zone}')}  {what}{end}".rstrip() + "\n"

    def note(self, note: Note) -> str:
        return self._paint("33", f"-- {clean(words(note))} --") + "\n"

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and text else text


def words(note: Note) -> str:
    """What is missing, in words."""
    if isinstance(note, Dropped):
        return f"dropped {note.count}"
    if isinstance(note, Problem):
        return note.message
    if note.reason == "restarted":
        missed = "how many were missed is not known" if note.missed is None else f"{note.missed} missed"
        return f"gap: the daemon was restarted, {missed}"
    return f"gap: {'older ones' if note.missed is None else note.missed} are no longer kept"


def clean(text: str) -> str:
    """What can be shown on one line of a terminal."""
    return text if text.isprintable() else visible(text, keep="")


def duration(ms: float) -> str:
    """``0.42 ms``, ``12.3 ms``, ``1.50 s``."""
    if ms >= 999.95:
        return f"{ms / 1000:.2f} s"
    return f"{ms:.1f} ms" if ms >= 10 else f"{ms:.2f} ms"


def size(count: int) -> str:
    """``512 B``, ``1.5 kB``, ``2.0 MB``; empty for none."""
    if not count:
        return ""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if count < 999_950 else f"{count / 1_000_000:.1f} MB"


# --- templates ------------------------------------------------------------------------------

_SPEC: Final = re.compile(r"[<>^]?\d{0,3}(?:\.\d{1,3})?")
_ESCAPES: Final = {"\\t": "\t", "\\n": "\n", "\\\\": "\\"}

Field: TypeAlias = Callable[[Exported, Clock], str]

_FIELDS: Final[Mapping[str, Field]] = {
    "time": lambda event, clock: clock.at(event.timestamp).time,
    "date": lambda event, clock: clock.at(event.timestamp).date,
    "zone": lambda event, clock: clock.at(event.timestamp).zone,
    "datetime": lambda event, _: event.datetime,
    "timestamp": lambda event, _: f"{event.timestamp:.6f}",
    "type": lambda event, _: event.connection_type,
    "direction": lambda event, _: event.direction,
    "script": lambda event, _: event.script,
    "function": lambda event, _: event.function,
    "size": lambda event, _: str(event.data_size_bytes),
    "ms": lambda event, _: "-" if event.response_time_ms is None else f"{event.response_time_ms:.2f}",
    "error": lambda event, _: event.error or "-",
    "metadata": lambda event, _: shown_metadata(event.metadata) or "-",
    "weight": lambda event, _: str(event.weight),
    **{key: lambda event, _, key=key: _correlated(event, key) for key in CORRELATION},  # type: ignore[misc]
}


def _correlated(event: Exported, key: str) -> str:
    value = event.metadata.get(key)
    return "-" if value is None else shown_metadata({"": value})[1:]


class Template:
    """Lines such as ``{time} {type:<9} {ms:>8}``; ``-`` stands for what an event does not have.

    Raises UsageError, when it is made, for what no event has.
    """

    def __init__(self, template: str, clock: Clock) -> None:
        self._clock = clock
        self._parts = _parts(template)
        self._marks = Text(clock, colour=False)

    def event(self, event: Exported, raw: msgspec.Raw) -> str:  # noqa: ARG002 - as the others
        shown = [
            part if isinstance(part, str) else format(clean(part[0](event, self._clock)), part[1])
            for part in self._parts
        ]
        return "".join(shown) + "\n"

    def note(self, note: Note) -> str:
        return self._marks.note(note)


def _parts(template: str) -> Sequence[str | tuple[Field, str]]:
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        hint = "'{time} {type} {function} {ms}'; {{ and }} are braces"
        raise UsageError(f"--template: {template!r}: {error}", hint=hint) from None
    parts: list[str | tuple[Field, str]] = []
    for literal, name, spec, conversion in parsed:
        if literal:
            parts.append(re.sub(r"\\[tn\\]", lambda found: _ESCAPES[found[0]], literal))
        if name is not None:
            parts.append(_field(name, spec or "", conversion))
    if all(isinstance(part, str) for part in parts):
        raise UsageError(f"--template: {template!r} names no field", hint=f"one of {', '.join(_FIELDS)}")
    return parts


def _field(name: str, spec: str, conversion: str | None) -> tuple[Field, str]:
    field = _FIELDS.get(name)
    if field is None:
        near = get_close_matches(name, _FIELDS, 1, 0.6)
        hint = f"did you mean {{{near[0]}}}?" if near else f"one of {', '.join(_FIELDS)}"
        raise UsageError(f"--template: {{{name}}} is no field of an event", hint=hint)
    if conversion or not _SPEC.fullmatch(spec):
        asked = f"{{{name}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}}}"
        hint = f"{{{name}:<12}}, {{{name}:>8}}, {{{name}:.20}}"
        raise UsageError(f"--template: {asked}: only alignment, width and cut are taken", hint=hint)
    return field, spec
