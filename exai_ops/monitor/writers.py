"""Formats of an export. Events are added as they come, in bounded memory; the summary comes last."""

from __future__ import annotations

import csv
import io
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Final, Protocol

from exai_ops.monitor import kept
from exai_ops.monitor.aggregates import TypeStats
from exai_ops.monitor.events import Event
from exai_ops.monitor.export import encoded, encoded_summary
from exai_ops.timezones import utc_iso

FORMATS: Final = ("json", "ndjson", "csv", "sqlite")
SUFFIXES: Final[Mapping[str, str]] = {
    ".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".sqlite": "sqlite",
    ".sqlite3": "sqlite", ".db": "sqlite",
}  # fmt: skip
COMPRESSIONS: Final[Mapping[str, str]] = {".gz": "gz", ".zst": "zst"}
COLUMNS: Final = (
    "timestamp", "datetime", "connection_type", "direction", "script", "function", "data_size_bytes",
    "response_time_ms", "error", "metadata", "weight",
)  # fmt: skip
_SPOOL_BYTES: Final = 32 * 1024 * 1024


def of_name(name: str) -> tuple[str | None, str | None]:
    """The format and the compression that the ending of a file's name says, None where it says nothing."""
    compression = COMPRESSIONS.get(Path(name).suffix.lower())
    if compression is not None:
        name = name[: -len(Path(name).suffix)]
    return SUFFIXES.get(Path(name).suffix.lower()), compression


class Writer(Protocol):
    """A format. Raises OSError or sqlite3.Error where it cannot write."""

    def add(self, events: Sequence[Event]) -> None:
        """The next events."""

    def end(self, summary: Mapping[str, TypeStats]) -> None:
        """There are no more."""

    def close(self) -> None:
        """Let go, whatever has been written."""


class Ndjson:
    """An event a line; no summary."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def add(self, events: Sequence[Event]) -> None:
        self._stream.write(b"".join([encoded(event) + b"\n" for event in events]))

    def end(self, summary: Mapping[str, TypeStats]) -> None:
        """Nothing is left to write."""

    def close(self) -> None:
        """Nothing is held."""


class Json:
    """``{"summary": {...}, "recent_events": [...]}``: events wait, on disk if they are many, for the summary.

    Args:
        folder: Where they wait; None for the system's own.
    """

    def __init__(self, stream: IO[bytes], folder: Path | None = None) -> None:
        self._stream = stream
        within = None if folder is None else str(folder)
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOL_BYTES, dir=within)  # noqa: SIM115 - close()
        self._between = b""

    def add(self, events: Sequence[Event]) -> None:
        if events:
            self._spool.write(self._between + b",".join(map(encoded, events)))
            self._between = b","

    def end(self, summary: Mapping[str, TypeStats]) -> None:
        self._stream.write(b'{"summary":%b,"recent_events":[' % encoded_summary(summary))
        self._spool.seek(0)
        shutil.copyfileobj(self._spool, self._stream, 1 << 20)
        self._stream.write(b"]}\n")

    def close(self) -> None:
        self._spool.close()


class Csv:
    """``COLUMNS`` by RFC 4180, in UTF-8, metadata as JSON; what is none is empty. No summary."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._write([COLUMNS])

    def add(self, events: Sequence[Event]) -> None:
        self._write(
            [(e[0], utc_iso(e[0]), *e[1:8], kept.encoded_metadata(e), e.weight) for e in events],
        )

    def _write(self, rows: Sequence[Sequence[object]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._stream.write(text.getvalue().encode(errors="replace"))

    def end(self, summary: Mapping[str, TypeStats]) -> None:
        """Nothing is left to write."""

    def close(self) -> None:
        """Nothing is held."""


class Sqlite:
    """The table of the events on disk, and ``summary``. The file is new, or empty."""

    def __init__(self, path: Path) -> None:
        self._last = 0
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            for statement in (
                "PRAGMA journal_mode = MEMORY",
                "PRAGMA synchronous = OFF",
                "BEGIN",
                kept.TABLE,
            ):
                self._connection.execute(statement)
        except BaseException:
            self._connection.close()
            raise

    def add(self, events: Sequence[Event]) -> None:
        rows = list(kept.rows_of(events, self._last))
        if rows:
            kept.insert(self._connection, rows)
            self._last = rows[-1][0]

    def end(self, summary: Mapping[str, TypeStats]) -> None:
        names = TypeStats.__slots__
        self._connection.execute(
            f"CREATE TABLE summary (connection_type TEXT PRIMARY KEY, {', '.join(names)})"
        )
        rows = [
            tuple(map(kept.storable, (name, *(getattr(stats, key) for key in names))))
            for name, stats in summary.items()
        ]
        marks = ", ".join("?" * (1 + len(names)))
        self._connection.executemany(f"INSERT INTO summary VALUES ({marks})", rows)  # noqa: S608
        self._connection.execute("COMMIT")
        self._connection.execute(f"PRAGMA application_id = {kept.APPLICATION_ID}")

    def close(self) -> None:
        with closing(self._connection):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
