"""Recordings as batches of lines: NDJSON, exports, CSV and SQLite files, compressed ones too; one pass each.

What a file is, its first bytes say, never its name. What cannot be read of it is counted, with the first
place and the reason.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import msgspec

from exai_ops.monitor.analysis.known import KnownNames
from exai_ops.monitor.analysis.lines import Line, Unreadable, event_of, leniently, line_of
from exai_ops.monitor.events import Event
from exai_ops.monitor.kept import COLUMNS

CHUNK_BYTES: Final = 1 << 18
LONGEST_LINE: Final = 16 << 20
BATCH: Final = 4096
_ZSTD_BYTES: Final = 1024
_SQLITE: Final = b"SQLite format 3\x00"
_EXPORT: Final = re.compile(r'"recent_events"\s*:\s*\[')

Test: TypeAlias = Callable[[Event], bool]
"""Whether an event is wanted."""

_decode: Final = msgspec.json.Decoder(Line)


class Skipped:
    """What could not be read.

    Attributes:
        count: Lines, or events of an export.
        first: ``(place, why)`` of the first: a file and a line from 1, or None.
        broken: Files that end before their end, or cannot be read at all: ``(name, why)``.
        dropped, gaps: What a tail was told it missed: events, and times that it was told so.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: tuple[str, int | None, str] | None = None
        self.broken: list[tuple[str, str]] = []
        self.dropped = 0
        self.gaps = 0

    def line(self, name: str, number: int | None, why: str) -> None:
        """Count one."""
        self.count += 1
        if self.first is None:
            self.first = (name, number, why)

    def note(self, value: Any) -> bool:
        """Whether it is what a tail says between events; counted then."""
        if not isinstance(value, dict) or not isinstance(value.get("op"), str) or "timestamp" in value:
            return False
        missed = value.get("count") if value["op"] == "dropped" else value.get("missed")
        if value["op"] in ("dropped", "gap"):
            self.gaps += 1
            self.dropped += missed if isinstance(missed, int) and missed > 0 else 0
        return True


class Progress:
    """How far it is: bytes read of a file as it is on disk."""

    def __init__(self, told: Callable[[int], None] | None = None) -> None:
        self._told = told

    def read(self, count: int) -> None:
        """So many more."""
        if self._told is not None:
            self._told(count)


def batches(
    path: Path | None, stdin: IO[bytes], skipped: Skipped, wanted: Test | None, progress: Progress
) -> Iterator[list[Line]]:
    """The lines of a file, None for ``stdin``, a few thousand at a time.

    Raises OSError where the file cannot be opened. What breaks off is told to ``skipped``.
    """
    name = "stdin" if path is None else str(path)
    try:
        if path is None:
            yield from _of_stream(stdin, name, skipped, wanted, progress)
            return
        with path.open("rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE:
                yield from _of_rows(path, skipped, wanted)
                return
            file.seek(0)
            yield from _of_stream(file, name, skipped, wanted, progress)
    except _Broken as broken:
        skipped.broken.append((name, str(broken)))


class _Broken(Exception):
    """A file cannot be read further."""


class _Told(io.RawIOBase):
    """A stream whose bytes are told as they are read."""

    def __init__(self, raw: IO[bytes], progress: Progress) -> None:
        super().__init__()
        self._raw, self._progress = raw, progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self._progress.read(len(data))
        return len(data)


def _of_stream(
    raw: IO[bytes], name: str, skipped: Skipped, wanted: Test | None, progress: Progress
) -> Iterator[list[Line]]:
    stream = io.BufferedReader(_Told(raw, progress), CHUNK_BYTES)
    zstd = stream.peek(4)[:4] == b"\x28\xb5\x2f\xfd"
    chunks = _joined(_of_zstd(stream) if zstd else _chunks(_decompressed(stream)))
    first = next(chunks, b"")
    whole = _chain(first, chunks)
    match _kind(first):
        case "ndjson":
            yield from _of_lines(whole, name, skipped, wanted)
        case "json":
            yield from _of_document(whole, name, skipped, wanted)
        case "csv":
            yield from _of_table(whole, name, skipped, wanted)
        case "empty":
            return
        case why:
            raise _Broken(why)


def _chain(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces as chunks, for a batch has its price; what came before a file breaks off is not lost."""
    held: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size >= CHUNK_BYTES // 2:
                yield b"".join(held)
                held, size = [], 0
    except _Broken:
        if size:
            yield b"".join(held)
        raise
    if size:
        yield b"".join(held)


def _decompressed(stream: io.BufferedReader[Any]) -> Any:
    import bz2
    import gzip
    import lzma

    head = stream.peek(6)[:6]
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(stream)
    return stream


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """Its bytes; raises _Broken where a compressed file is damaged."""
    import lzma
    import zlib

    read = getattr(stream, "read1", stream.read)
    try:
        while data := read(CHUNK_BYTES):
            yield data
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise _Broken(f"it breaks off: {str(error)[:100]}") from error


def _of_zstd(stream: IO[bytes]) -> Iterator[bytes]:
    """Frames one after another; a little at a time, for a block of 4 bytes may be 128 KiB."""
    import zstandard

    whole = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    frame = None
    try:
        while data := stream.read(_ZSTD_BYTES):
            while data:
                frame = frame or whole.decompressobj()
                yield frame.decompress(data)
                data = frame.unused_data
                frame = None if frame.eof else frame
    except (OSError, zstandard.ZstdError) as error:
        raise _Broken(f"it breaks off: {str(error)[:100]}") from error
    if frame is not None:
        raise _Broken("it breaks off within a zstd frame")


def _kind(first: bytes) -> str:  # noqa: PLR0911 - a form each
    """``ndjson``, ``json``, ``csv`` or ``empty``; else why it is none of them."""
    first = first.removeprefix(codecs.BOM_UTF8)
    text = first.lstrip()
    if not text:
        return "empty"
    if text.startswith(_SQLITE):
        return "it is a compressed SQLite file: decompress it first"
    line, newline, _ = text.partition(b"\n")
    if text[:1] == b"[":
        return "json"
    if text[:1] == b"{":
        if b'"recent_events"' in line or (b'"summary"' in line and b'"timestamp"' not in line[:40]):
            return "json"
        whole = line.rstrip().endswith(b"}") or not newline
        return "ndjson" if whole else "json"
    names = {name.strip().strip(b'"') for name in line.split(b",")}
    if {b"timestamp", b"connection_type"} <= names:
        return "csv"
    return "ndjson"  # and each of its lines will be skipped, with the reason


# --- NDJSON ---------------------------------------------------------------------------------


def _of_lines(
    chunks: Iterable[bytes], name: str, skipped: Skipped, wanted: Test | None
) -> Iterator[list[Line]]:
    number, names = 1, KnownNames()
    for block in _blocks(chunks, name, skipped):
        if wanted is None:
            try:
                lines = names.lines(block)
            except (msgspec.DecodeError, RecursionError, UnicodeError):
                lines = _one_by_one(block, number, name, skipped)
        else:
            lines = _fitting(block, number, name, skipped, wanted)
        number += block.count(b"\n")
        yield lines


def _blocks(chunks: Iterable[bytes], name: str, skipped: Skipped) -> Iterator[bytes]:
    """Whole lines, many at a time; a line that is longer than any event is skipped."""
    rest = b""
    first = True
    for chunk in chunks:
        data = rest + chunk
        if first:
            data, first = data.removeprefix(codecs.BOM_UTF8), False
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if end:
            yield data[:end]
        if len(rest) > LONGEST_LINE:
            skipped.line(name, None, "a line is longer than 16 MB")
            rest = b'{"op":"too long","rest":"'
    if rest:
        yield rest


def _one_by_one(block: bytes, number: int, name: str, skipped: Skipped) -> list[Line]:
    lines = []
    for at, raw in enumerate(block.split(b"\n"), number):
        if not raw.strip():
            continue
        try:
            lines.append(_decode.decode(raw))
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            _leniently(raw, at, name, skipped, lines, leniently)
    return lines


def _fitting(block: bytes, number: int, name: str, skipped: Skipped, wanted: Test) -> list[Line]:
    events: list[Event] = []
    for at, raw in enumerate(block.split(b"\n"), number):
        if raw.strip():
            _leniently(raw, at, name, skipped, events, event_of)
    return [line_of(event) for event in events if wanted(event)]


def _leniently(  # noqa: PLR0917
    raw: bytes, at: int, name: str, skipped: Skipped, found: list[Any], made: Callable[[Any], Any]
) -> None:
    try:
        value = msgspec.json.decode(raw)
        if not skipped.note(value):
            found.append(made(value))
    except Unreadable as error:
        skipped.line(name, at, str(error))
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        skipped.line(name, at, "no JSON")


# --- exports --------------------------------------------------------------------------------


def _of_document(
    chunks: Iterable[bytes], name: str, skipped: Skipped, wanted: Test | None
) -> Iterator[list[Line]]:
    """The events of ``{"recent_events": [...]}`` or of an array, given as soon as they are there: so those
    before a break count.
    """
    for values in _values(chunks):
        found: list[Line] = []
        for value in values:
            try:
                if not skipped.note(value):
                    _take(value, found, wanted)
            except Unreadable as error:
                skipped.line(name, None, str(error))
        yield found


def _take(value: Any, found: list[Line], wanted: Test | None) -> None:
    if wanted is None:
        found.append(leniently(value))
    elif wanted(event := event_of(value)):
        found.append(line_of(event))


def _values(chunks: Iterable[bytes]) -> Iterator[list[Any]]:
    """The values of the array, of each chunk those that end in it. Raises _Broken where it is none, or ends
    too early.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    scan = json.JSONDecoder().raw_decode
    text, at, inside = "", 0, False
    for chunk in chunks:
        text, at = text[at:] + decoder.decode(chunk), 0
        if not inside:
            if text.lstrip()[:1] == "[":
                at, inside = text.index("[") + 1, True
            elif match := _EXPORT.search(text):
                at, inside = match.end(), True
            elif len(text) > LONGEST_LINE:
                break
            else:
                continue
        found: list[Any] = []
        why = None
        while (at := _past(text, at)) < len(text):
            if text[at] == "]":
                yield found
                return
            try:
                value, at = scan(text, at)
            except RecursionError:
                why = "it is nested too deeply"
                break
            except ValueError:  # most often the rest of it is in the next chunk
                why = "what is in recent_events is no JSON" if len(text) - at > LONGEST_LINE else None
                break
            found.append(value)
        yield found
        if why is not None:
            raise _Broken(why)
    if not inside:
        raise _Broken('it is JSON without "recent_events"')
    raise _Broken("it breaks off within recent_events")


_BETWEEN: Final = re.compile(r"[\s,]*")


def _past(text: str, at: int) -> int:
    match = _BETWEEN.match(text, at)
    return at if match is None else match.end()


# --- CSV and SQLite -------------------------------------------------------------------------


def _of_table(
    chunks: Iterable[bytes], name: str, skipped: Skipped, wanted: Test | None
) -> Iterator[list[Line]]:
    rows = csv.DictReader(_text_lines(chunks))
    found: list[Line] = []
    try:
        for row in rows:
            try:
                _take(row, found, wanted)
            except Unreadable as error:
                skipped.line(name, rows.line_num, str(error))
            if len(found) >= BATCH:
                yield found
                found = []
    except csv.Error as error:
        yield found
        raise _Broken(f"line {rows.line_num + 1}: {error}") from error
    yield found


def _text_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from (line + "\n" for line in lines)
    if rest:
        yield rest


def _of_rows(path: Path, skipped: Skipped, wanted: Test | None) -> Iterator[list[Line]]:
    """The table ``events`` of a SQLite file: kept events, or an export."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=5)) as connection:
            cursor = connection.execute(
                f"SELECT {', '.join(COLUMNS)} FROM events ORDER BY rowid"  # noqa: S608
            )
            while rows := cursor.fetchmany(BATCH):
                yield _rows(rows, str(path), skipped, wanted)
    except sqlite3.Error as error:
        raise _Broken(f"as SQLite: {error}") from error


def _rows(rows: Iterable[tuple[Any, ...]], name: str, skipped: Skipped, wanted: Test | None) -> list[Line]:
    found: list[Line] = []
    for row in rows:
        try:
            _take(dict(zip(COLUMNS, row, strict=True)), found, wanted)
        except Unreadable as error:
            skipped.line(name, None, str(error))
    return found


def of_events(
    events: Iterable[Event], name: str, skipped: Skipped, wanted: Test | None
) -> Iterator[list[Line]]:
    """Lines of events that are at hand."""
    found: list[Line] = []
    for event in events:
        if wanted is None or wanted(event):
            try:
                found.append(line_of(event))
            except Unreadable as error:
                skipped.line(name, None, str(error))
        if len(found) >= BATCH:
            yield found
            found = []
    yield found
