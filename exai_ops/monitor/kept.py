"""Events on disk: a folder of SQLite files, each a stretch of time, so that forgetting is removing a file.

``append`` adds to the newest file; when that has its share of the bytes or of the age, the next begins, and
the oldest go while there is too much. Rows are numbered by microseconds since the epoch, counted on where two
share one or where the clock was set back: a row's number is never below its time, so a reader that asks
from a time on finds its place without an index of its own.

One process writes, others may read at the same time. A file that is damaged is set aside and named.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any, Final

import msgspec

from exai_ops.errors import StorageError
from exai_ops.monitor.events import Event

SHARES: Final = 8
"""A file holds about this part of the bytes and of the age: so much is forgotten at once."""
LEAST_FILE_BYTES: Final = 256 * 1024
COLUMNS: Final = (
    "timestamp", "connection_type", "direction", "script", "function", "data_size_bytes", "response_time_ms",
    "error", "metadata", "weight",
)  # fmt: skip
APPLICATION_ID: Final = 0x45584556  # "EXEV"

TABLE: Final = """
CREATE TABLE IF NOT EXISTS events (
  id INTEGER PRIMARY KEY, timestamp REAL NOT NULL, connection_type TEXT NOT NULL, direction TEXT NOT NULL,
  script TEXT NOT NULL, function TEXT NOT NULL, data_size_bytes INTEGER NOT NULL, response_time_ms REAL,
  error TEXT, metadata TEXT, weight INTEGER NOT NULL
)"""
INSERT: Final = f"INSERT INTO events VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"  # noqa: S608
_SELECT: Final = f"""SELECT {", ".join(COLUMNS)} FROM events
  WHERE id >= ? AND {COLUMNS[0]} >= ? AND {COLUMNS[0]} < ? AND (? = '' OR instr(metadata, ?))
  ORDER BY id"""  # noqa: S608
_NAME: Final = re.compile(r"events-(\d+)\.sqlite3")
_BUSY_S: Final = 5.0
_ENCODE: Final = msgspec.json.Encoder(enc_hook=str).encode
_DECODE: Final = msgspec.json.Decoder(dict[str, Any]).decode
_LARGEST: Final = 2**63 - 1


class KeptEvents:
    """The folder. ``append`` and ``close`` belong to one thread; ``read`` may be called from any.

    Attributes:
        set_aside: Names of files that were damaged.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        max_age_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self.set_aside: list[str] = []
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._path: Path | None = None
        self._last_id = 0

    # --- writing ----------------------------------------------------------------------------

    def append(self, events: Iterable[Event]) -> int:
        """Add events, in one transaction; how many. Raises OSError or sqlite3.Error, having added none."""
        if self._path is not None and not self._path.exists():
            self._let_go()  # somebody removed it: what is written there is lost
        rows = list(rows_of(events, self._newest_id()))
        if not rows:
            return 0
        connection = self._connection or self._begin()
        try:
            connection.execute("BEGIN IMMEDIATE")
            insert(connection, rows)
            connection.execute("COMMIT")
        except BaseException:
            self._let_go()  # and with it the transaction
            raise
        self._last_id = rows[-1][0]
        self._rotate()
        return len(rows)

    def close(self) -> None:
        """Write what SQLite still holds in its log, and let go."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):  # a reader keeps the log; it is read with the file
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._let_go()

    def forget(self) -> None:
        """Remove the files that are too old, or too many for the bytes; never the newest."""
        paths, oldest = self.files(), self._clock() - self._max_age_s
        sizes = {path: _bytes_of(path) for path in paths}
        for path, following in pairwise(paths):
            # All that it holds is older than the first of the next.
            if sum(sizes.values()) <= self._max_bytes and _began(following) >= oldest:
                return
            _remove(path)
            del sizes[path]

    def _newest_id(self) -> int:
        if self._last_id:
            return self._last_id
        connection = self._connection or self._begin()
        (newest,) = connection.execute("SELECT max(id) FROM events").fetchone()
        self._last_id = newest or 0
        return self._last_id

    def _begin(self) -> sqlite3.Connection:
        """The newest file, if it is not full, else a new one."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = self.files()
        if paths and not self._full(paths[-1]):
            try:
                return self._open(paths[-1])
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):  # locked, full, no right: it is not damaged
                    raise
                self._put_aside(paths[-1])
        return self._next()

    def _next(self) -> sqlite3.Connection:
        began = int(self._clock() * 1000)
        if paths := self.files():
            began = max(began, int(_began(paths[-1]) * 1000) + 1)  # in order, wherever the clock is set
        return self._open(self.folder / f"events-{began}.sqlite3")

    def _open(self, path: Path) -> sqlite3.Connection:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(TABLE)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("SELECT max(id) FROM events").fetchone()
        except BaseException:
            connection.close()
            raise
        self._connection, self._path = connection, path
        return connection

    def _rotate(self) -> None:
        if self._path is not None and self._full(self._path):
            self.close()
            self._next()
            self.forget()

    def _full(self, path: Path) -> bool:
        share = max(LEAST_FILE_BYTES, self._max_bytes // SHARES)
        return _bytes_of(path) >= share or self._clock() - _began(path) >= self._max_age_s / SHARES

    def _put_aside(self, path: Path) -> None:
        aside = path.with_suffix(".damaged")
        path.replace(aside)
        _remove(path)
        self.set_aside.append(aside.name)

    def _let_go(self) -> None:
        connection, self._connection, self._path = self._connection, None, None
        if connection is not None:
            connection.close()

    # --- reading ----------------------------------------------------------------------------

    def files(self) -> list[Path]:
        """The files, oldest first."""
        return files(self.folder)

    def stored_bytes(self) -> int:
        """Bytes on disk, logs included."""
        return sum(_bytes_of(path) for path in self.files())

    def read(self, since_s: float, until_s: float) -> Generator[Event]:
        """As ``read`` of this module."""
        return read(self.folder, since_s, until_s)


def files(folder: Path) -> list[Path]:
    """The files of kept events in a folder, oldest first; none where it is not there."""
    try:
        return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), key=_began)
    except FileNotFoundError:
        return []


def read(
    folder: Path, since_s: float = 0.0, until_s: float = float("inf"), *, holding: str = ""
) -> Generator[Event]:
    """The kept events from ``since_s`` on and before ``until_s``, in the order in which they were recorded.

    Seconds since the epoch. ``holding``: only those whose metadata has this text, as JSON, anywhere. Another
    process may write meanwhile, and remove what is oldest. Raises OSError, and StorageError that names a file
    which cannot be read.
    """
    paths = files(folder)
    for path, following in zip_longest(paths, paths[1:]):
        # A file's rows may carry earlier times than its name, where the clock was set back; never later
        # ones than the next one's beginning but for that, so only this end can be cut short.
        if following is None or _began(following) + 1 >= since_s or _set_back(path, following):
            yield from _read(path, since_s, until_s, holding)


def holding(key: str, beginning: str) -> str:
    """What the metadata of an event holds whose ``key`` is a text that begins so: for ``read``."""
    return f'"{key}":{_ENCODE(beginning.encode(errors="replace").decode()).decode()[:-1]}'


def _read(path: Path, since_s: float, until_s: float, holding: str) -> Iterator[Event]:
    first = int(max(0.0, since_s) * 1_000_000)
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
        with contextlib.closing(connection):
            for row in connection.execute(_SELECT, (first, since_s, until_s, holding, holding)):
                yield event_of(row)
    except (sqlite3.Error, msgspec.DecodeError) as error:
        if not path.exists():
            return  # forgotten meanwhile
        hint = "move it away: the others can then be read"
        raise StorageError(f"{path} cannot be read: {error}", hint=hint) from error


def _set_back(path: Path, following: Path) -> bool:
    """Whether a file was written to later than the next one's name says it began."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime > _began(following) + 60
    return False


def rows_of(events: Iterable[Event], last_id: int = 0) -> Iterator[tuple[Any, ...]]:
    """Their rows, numbered from after ``last_id``."""
    for event in events:
        last_id = max(last_id + 1, int(event.timestamp * 1_000_000))
        yield (last_id, *event[:8], encoded_metadata(event), event.weight)


def insert(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows within the transaction that is open; what SQLite has no value for is replaced."""
    connection.execute("SAVEPOINT rows")
    try:
        connection.executemany(INSERT, rows)
    except (UnicodeError, OverflowError, sqlite3.ProgrammingError):
        connection.execute("ROLLBACK TO rows")
        connection.executemany(INSERT, [tuple(map(storable, row)) for row in rows])
    connection.execute("RELEASE rows")


def storable(value: object) -> object:
    """A lone surrogate as ``?``, a number that is too large as the largest, of any other type its name."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, int):
        return max(-_LARGEST, min(value, _LARGEST))
    return value if value is None or isinstance(value, float) else type(value).__name__


def event_of(row: tuple[Any, ...]) -> Event:
    """The event of a row's ``COLUMNS``."""
    metadata = _DECODE(row[8]) if row[8] else None
    return Event._make((*row[:8], metadata, row[9]))


def encoded_metadata(event: Event) -> str | None:
    """Its metadata as a row has it; what cannot be written is told by the type of the error."""
    if not event.metadata:
        return None
    try:
        return _ENCODE(event.metadata).decode()
    except Exception as error:  # noqa: BLE001 metadata is foreign: its __str__ may raise anything
        return _ENCODE({"unencodable": type(error).__name__}).decode()


def _began(path: Path) -> float:
    return int(_NAME.fullmatch(path.name)[1]) / 1000  # type: ignore[index]  # a name that files() gave


def _bytes_of(path: Path) -> int:
    total = 0
    for name in (path, path.with_name(f"{path.name}-wal")):
        with contextlib.suppress(FileNotFoundError):
            total += name.stat().st_size
    return total


def _remove(path: Path) -> None:
    for name in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        name.unlink(missing_ok=True)
