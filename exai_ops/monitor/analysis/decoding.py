"""Bytes of a source as lines, batch by batch; what cannot be read is counted, with the place of the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from exai_ops.monitor.analysis.known import KnownNames
from exai_ops.monitor.analysis.lines import Line, Unreadable, leniently, more_of
from exai_ops.monitor.events import Event
from exai_ops.monitor.filters import Matcher

_DECODE: Final = msgspec.json.Decoder(Line).decode
_DECODE_ANY: Final = msgspec.json.Decoder().decode


class Source(msgspec.Struct, kw_only=True):
    """One input, and what became of it.

    Attributes:
        form: ``ndjson``, ``json``, ``csv``, ``sqlite`` or ``daemon``; with its compression, ``ndjson.gz``.
        events: Events counted.
        skipped: Lines, rows or objects that could not be read.
        first_skip: Where the first of these is and why, as text.
        left_out: Events that the filter does not want.
        missed: Events that the recording itself says are missing; ``gaps`` how often it does.
    """

    name: str
    form: str = ""
    events: int = 0
    skipped: int = 0
    first_skip: str | None = None
    left_out: int = 0
    missed: int = 0
    gaps: int = 0

    def skip(self, place: str, why: str, count: int = 1) -> None:
        """Count what could not be read."""
        if not self.skipped:
            self.first_skip = f"{place}: {why}"
        self.skipped += count


class Wanted(NamedTuple):
    """Which events are analyzed: from ``since`` on, before ``until``, those that fit the matcher."""

    matcher: Matcher = Matcher(())
    since: float = 0.0
    until: float = float("inf")

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self.matcher.takes_all and self.since <= 0 and self.until == float("inf")


class Batch(NamedTuple):
    """Lines in order, and the number of each in its source, from 1."""

    lines: Sequence[Line]
    numbers: Sequence[int]
    unit: str = "line"


class Decoding:
    """Makes lines of one source's bytes and values."""

    def __init__(self, source: Source, wanted: Wanted) -> None:
        self._source = source
        self._wanted = wanted
        self._test: Callable[[Any], bool] | None = None if wanted.everything else self._fits
        self._known = KnownNames()
        self.number = 0

    def lines(self, data: bytes) -> Batch:
        """Of whole lines, one JSON object each."""
        began, self.number = self.number, self.number + data.count(b"\n") + (not data.endswith(b"\n"))
        if self._test is None:
            try:
                lines = self._known.lines(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                lines = []
            if len(lines) == self.number - began:
                return Batch(lines, range(began + 1, self.number + 1))
        return self._batch(self._one_by_one(data, began), "line")

    def values(self, values: Iterable[Any], unit: str) -> Batch:
        """Of decoded objects or rows."""
        return self._batch(self._of_values(values, unit), unit)

    def raw(self, objects: Iterable[bytes], unit: str) -> Batch:
        """Of undecoded objects."""
        return self._batch(self._of_raw(objects, unit), unit)

    def refused(self, batch: Batch, indexes: Iterable[int]) -> None:
        """Count lines that were read and could not be counted."""
        from exai_ops.monitor.analysis.lines import checked

        for index in indexes:
            try:
                checked(batch.lines[index])
            except Unreadable as error:
                self._source.skip(f"{batch.unit} {batch.numbers[index]}", str(error))

    def _batch(self, found: Iterable[tuple[int, Line]], unit: str) -> Batch:
        pairs = list(found)
        return Batch([line for _, line in pairs], [number for number, _ in pairs], unit)

    def _one_by_one(self, data: bytes, number: int) -> Iterator[tuple[int, Line]]:
        for text in data.split(b"\n"):
            number += 1
            if text.strip():
                line = self._line(text, f"line {number}")
                if line is not None:
                    yield number, line

    def _of_raw(self, objects: Iterable[bytes], unit: str) -> Iterator[tuple[int, Line]]:
        for data in objects:
            self.number += 1
            line = self._line(data, f"{unit} {self.number}")
            if line is not None:
                yield self.number, line

    def _of_values(self, values: Iterable[Any], unit: str) -> Iterator[tuple[int, Line]]:
        for value in values:
            self.number += 1
            line = self._of_value(value, f"{unit} {self.number}")
            if line is not None:
                yield self.number, line

    def _line(self, data: bytes, place: str) -> Line | None:
        if self._test is None:
            try:
                return _DECODE(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # it may be one for all that
        try:
            value = _DECODE_ANY(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._source.skip(place, "not JSON")
            return None
        except RecursionError:
            self._source.skip(place, "nested too deeply")
            return None
        return self._of_value(value, place)

    def _of_value(self, value: Any, place: str) -> Line | None:
        if isinstance(value, Mapping) and value.get("op") in ("dropped", "gap"):
            self._note(value)
            return None
        try:
            line = leniently(value)
        except Unreadable as error:
            self._source.skip(place, str(error))
            return None
        if self._test is not None and not self._test((line, value)):
            self._source.left_out += 1
            return None
        return line

    def _note(self, frame: Mapping[str, Any]) -> None:
        """Take down what a tail was not sent."""
        count = frame.get("count") if frame["op"] == "dropped" else frame.get("missed")
        self._source.gaps += 1
        if isinstance(count, int) and count > 0:
            self._source.missed += count

    def _fits(self, pair: tuple[Line, Mapping[str, Any]]) -> bool:
        line, value = pair
        wanted = self._wanted
        if not wanted.since <= line.timestamp < wanted.until:
            return False
        return wanted.matcher.takes_all or wanted.matcher(_event(line, value))


def _event(line: Line, value: Mapping[str, Any]) -> Event:
    """The event as filters look at it, metadata whole."""
    metadata = value.get("metadata")
    if isinstance(metadata, str):
        try:
            metadata = _DECODE_ANY(metadata)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            metadata = None
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


def line_of(event: Event) -> Line:
    """The line of an event at hand."""
    return Line(
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
