"""Recordings as batches of lines, whatever their form: NDJSON, an export, CSV, SQLite, compressed or not."""

from __future__ import annotations

import csv
import itertools
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from exai_ops.errors import CouldNotLook
from exai_ops.monitor.analysis.decoding import Batch, Decoding, Source, Wanted
from exai_ops.monitor.analysis.documents import DOCUMENT, Cut, objects
from exai_ops.monitor.analysis.opening import BOM, DAMAGED, SQLITE, Head

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
ROWS: Final = 4096
NEEDED: Final = ("timestamp", "connection_type")
COLUMNS: Final = (
    "timestamp", "connection_type", "direction", "script", "function", "data_size_bytes", "response_time_ms",
    "error", "metadata", "weight",
)  # fmt: skip

Progress: TypeAlias = Callable[[int], None]
"""Told how many bytes of a file have been read."""


def open_source(path: Path) -> IO[bytes]:
    """The file's bytes. Raises CouldNotLook."""
    try:
        if path.is_dir():
            raise CouldNotLook(f"{path}: is a folder without kept events", hint="name files of events")
        return path.open("rb")
    except OSError as error:
        raise CouldNotLook(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error


def batches(
    raw: IO[bytes], source: Source, wanted: Wanted, progress: Progress | None = None
) -> Iterator[tuple[Decoding, Batch]]:
    """What a stream holds, in its order; ``source`` is told its form and what could not be read."""
    decoding = Decoding(source, wanted)
    try:
        head = Head(raw)
        first = head.peek()
        source.form = _form(first)
        found = _READERS[source.form](_told(head, progress), source, decoding, first)
        source.form += f".{head.compression}" if head.compression else ""
        for batch in found:
            yield decoding, batch
    except DAMAGED as error:
        why = getattr(error, "strerror", None) or str(error) or "cannot be read"
        source.form = source.form or "damaged"
        source.skip(f"after line {decoding.number}", why.lower())


def _form(first: bytes) -> str:
    if first.startswith(SQLITE):
        return "sqlite"
    first = first.removeprefix(BOM).lstrip()
    if DOCUMENT.match(first):
        return "json"
    header = first.partition(b"\n")[0]
    if not first.startswith(b"{") and all(name.encode() in header for name in NEEDED):
        return "csv"
    return "ndjson"


def _told(head: Head, progress: Progress | None) -> Iterator[bytes]:
    for number, chunk in enumerate(head.chunks()):
        yield chunk.removeprefix(BOM) if number == 0 else chunk
        if progress is not None:
            progress(_position(head.raw))


def _position(raw: IO[bytes]) -> int:
    try:
        return raw.tell()
    except OSError:  # a pipe
        return 0


def _ndjson(chunks: Iterable[bytes], source: Source, decoding: Decoding, _first: bytes) -> Iterator[Batch]:
    rest, too_long = b"", False
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end and too_long:
            begin = chunk.find(b"\n") + 1
            chunk, end, too_long = chunk[begin:], end - begin, False  # noqa: PLW2901
        if end:
            whole, rest = rest + chunk[:end], chunk[end:]
            yield decoding.lines(whole)
        elif not too_long:
            rest += chunk
        if len(rest) > MAX_LINE_BYTES:
            decoding.number += 1
            source.skip(f"line {decoding.number}", "longer than 16 MiB")
            rest, too_long = b"", True
    if rest.strip():
        yield decoding.lines(rest)


def _json(chunks: Iterable[bytes], source: Source, decoding: Decoding, _first: bytes) -> Iterator[Batch]:
    try:
        for found in objects(chunks):
            yield decoding.raw(found, "event")
    except Cut as error:
        source.skip(f"after event {decoding.number}", str(error))


def _csv(chunks: Iterable[bytes], source: Source, decoding: Decoding, _first: bytes) -> Iterator[Batch]:
    rows = csv.DictReader(_text_lines(chunks), restkey="(more)")
    while True:
        try:
            some = list(itertools.islice(rows, ROWS))
        except csv.Error as error:
            source.skip(f"row {decoding.number + 1}", str(error))
            continue
        if not some:
            return
        yield decoding.values(some, "row")


def _text_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").replace("\0", "\ufffd") + "\n"
        rest = rest if len(rest) < MAX_LINE_BYTES else b""
    if rest:
        yield rest.decode(errors="replace").replace("\0", "\ufffd")


def _sqlite(chunks: Iterable[bytes], source: Source, decoding: Decoding, _first: bytes) -> Iterator[Batch]:
    """Of a database that comes as bytes: compressed, or by stdin."""
    with tempfile.NamedTemporaryFile(prefix="exai-analyze-", suffix=".sqlite3") as whole:
        for chunk in chunks:
            whole.write(chunk)
        whole.flush()
        yield from database(Path(whole.name), source, decoding)


def database(path: Path, source: Source, decoding: Decoding) -> Iterator[Batch]:
    """The rows of the table ``events``, in the order in which they were written."""
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=5)) as connection:
            connection.row_factory = sqlite3.Row
            names = [row[1] for row in connection.execute("PRAGMA table_info(events)")]
            if not set(NEEDED) <= set(names):
                source.skip("table events", "is not there, or has no timestamp and connection_type")
                return
            wanted = ", ".join(name for name in COLUMNS if name in names)
            cursor = connection.execute(f"SELECT {wanted} FROM events ORDER BY rowid")  # noqa: S608 - known names
            while rows := cursor.fetchmany(ROWS):
                yield decoding.values(map(_mapping, rows), "row")
    except sqlite3.Error as error:
        source.skip(f"after row {decoding.number}", str(error))


def _mapping(row: Any) -> Mapping[str, Any]:
    return dict(zip(row.keys(), row, strict=True))


def database_batches(path: Path, source: Source, wanted: Wanted) -> Iterator[tuple[Decoding, Batch]]:
    """As ``batches``, of a database that is a file: read in place."""
    source.form = "sqlite"
    decoding = Decoding(source, wanted)
    for batch in database(path, source, decoding):
        yield decoding, batch


def is_database(path: Path) -> bool:
    """Whether a file is a SQLite database. Raises CouldNotLook."""
    with open_source(path) as stream:
        return stream.read(len(SQLITE)) == SQLITE


def size_of(path: Path) -> int:
    """Bytes, 0 where that cannot be told."""
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0


_READERS: Final[Mapping[str, Callable[[Iterable[bytes], Source, Decoding, bytes], Iterator[Batch]]]] = {
    "ndjson": _ndjson,
    "json": _json,
    "csv": _csv,
    "sqlite": _sqlite,
}
