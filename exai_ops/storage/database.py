"""The SQLite file as the writer thread sees it: opening, batches, and what its errors mean."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from exai_ops.errors import StorageError
from exai_ops.storage import schema
from exai_ops.storage.failures import explain, is_busy, one_line
from exai_ops.storage.lock import FileLock, same_file
from exai_ops.storage.writer import Operation, Outcome

# Rows of one statement. Counts are rounded up to these, so that few statements are ever prepared.
_SIZES: Final = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256)
_FITTING: Final = tuple(next(size for size in _SIZES if size >= n) for n in range(1, _SIZES[-1] + 1))
_STATEMENTS: Final = {size: schema.insert_rows(size) for size in _SIZES}
_MOST: Final = _SIZES[-1] * schema.WIDTH

# What binding raises for a value that is no text, number or null of SQLite's.
_REFUSED: Final = (sqlite3.Error, OverflowError, UnicodeError)


class Record(Protocol):
    """Where events go; called from the writer thread."""

    def __call__(
        self,
        connection_type: str,
        direction: str,
        /,
        *,
        script_name: str,
        function_name: str,
        data_size_bytes: int = 0,
        response_time_ms: float | None = None,
        error: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Any: ...


class Database:
    """The backend of the writer: every method runs in its thread."""

    def __init__(self, path: Path, record: Record | None) -> None:
        self._path = path
        self._record = record
        self._lock = FileLock(path)
        self._connection: sqlite3.Connection | None = None
        self._identity: os.stat_result | None = None

    def open(self) -> None:
        """Lock, create or check, prepare. Raises StorageError with the mend in its hint."""
        started = time.perf_counter()
        try:
            self._prepare_file()
            self._lock.acquire()
            self._connection = sqlite3.connect(
                self._path, isolation_level=None, cached_statements=64, check_same_thread=False
            )
            self._identity = self._path.stat()
            _configure(self._connection)
            _migrate(self._connection, self._path)
            self._connection.executescript(schema.WRITE_VIEW)
        except (StorageError, sqlite3.Error, OSError) as error:
            self._let_go()
            self._event("error", "open", started, error=error)
            if isinstance(error, StorageError):
                raise
            raise explain(error, self._path) from error
        self._event("connect", "open", started)

    def close(self) -> None:
        """Checkpoint and let go."""
        started = time.perf_counter()
        try:
            if self._connection is not None:
                # Another program that reads keeps the log; closing does not wait for it.
                self._connection.execute("PRAGMA busy_timeout = 100")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise explain(error, self._path) from error
        finally:
            self._let_go()
            self._event("disconnect", "close", started)

    def misplaced(self) -> str:
        """What has become of the files, if they were taken away; empty while all is well."""
        if self._lock.lost():
            return f"{self._lock.path} was removed or replaced: another daemon may open {self._path}; restart"
        if not same_file(self._path, self._identity):
            return f"{self._path} was removed or replaced: what is written is lost with this process; restart"
        return ""

    def idle(self) -> None:
        """Move the log into the file while nobody waits; what fails here fails a write next."""
        if self._connection is not None:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def apply(self, batch: Sequence[Operation]) -> list[Outcome]:
        """The writes between two barriers are one transaction, then come the reads among them."""
        outcomes: list[Outcome] = []
        writes: list[Operation] = []
        reads: list[Operation] = []
        for operation in batch:
            if operation.rows is not None:
                writes.append(operation)
            elif not operation.barrier:
                reads.append(operation)
            else:
                self._segment(writes, reads, outcomes)
                writes, reads = [], []
                outcomes.append(self._call(operation))
        self._segment(writes, reads, outcomes)
        return outcomes

    def _segment(self, writes: list[Operation], reads: list[Operation], outcomes: list[Outcome]) -> None:
        if writes:
            outcomes += self._write_all(writes)
        for operation in reads:
            outcomes.append(self._call(operation))

    def _write_all(self, writes: list[Operation]) -> list[Outcome]:
        """One transaction; when it fails, each half again, until who is to blame stands alone."""
        started = time.perf_counter()
        error = self._write(writes)
        if error is not None and len(writes) > 1 and not is_busy(error):
            middle = len(writes) // 2
            return self._write_all(writes[:middle]) + self._write_all(writes[middle:])
        size = sum(operation.size_bytes for operation in writes)
        self._event("send", "write", started, size=size, error=error, metadata={"operations": len(writes)})
        failure = None if error is None else explain(error, self._path)
        return [(operation, None, failure) for operation in writes]

    def _write(self, writes: list[Operation]) -> Exception | None:
        parameters: list[Any] = []
        for operation in writes:
            parameters += operation.rows or ()
        connection = self._open_connection()
        try:
            if len(parameters) <= _MOST:
                _insert(connection, parameters)
            else:
                transact(connection, lambda: _insert_in_pieces(connection, parameters))
        except _REFUSED as error:
            return error
        return None

    def _call(self, operation: Operation) -> Outcome:
        started = time.perf_counter()
        connection = self._open_connection()
        assert operation.work is not None  # noqa: S101 - an operation has rows or work
        try:
            value = operation.work(connection)
        except _REFUSED as error:
            self._event("receive", operation.name, started, error=error)
            return operation, None, explain(error, self._path)
        self._event("receive", operation.name, started)
        return operation, value, None

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StorageError(f"{self._path}: the store is not open")
        return self._connection

    def _prepare_file(self) -> None:
        """The folder for this user alone, the file too: it holds conversations."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        if self._path.stat().st_mode & 0o077:
            with contextlib.suppress(PermissionError):  # another user's file is theirs to seal
                self._path.chmod(0o600)

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._lock.release()

    def _event(
        self,
        direction: str,
        function: str,
        started: float,
        *,
        size: int = 0,
        error: Exception | str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if self._record is None:
            return
        self._record(
            "sqlite",
            "error" if error is not None else direction,
            script_name="storage/sqlite.py",
            function_name=function,
            data_size_bytes=size,
            response_time_ms=(time.perf_counter() - started) * 1000,
            error=None if error is None else one_line(error),
            metadata=metadata,
        )


def transact(connection: sqlite3.Connection, work: Callable[[], Any]) -> Any:
    """``work`` in one transaction, undone when it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        value = work()
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled it back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return value


def _insert(connection: sqlite3.Connection, parameters: list[Any]) -> None:
    count = len(parameters) // schema.WIDTH
    size = _FITTING[count - 1]
    if size > count:
        # Rows of nulls have no kind, so no trigger answers them.
        parameters += [None] * ((size - count) * schema.WIDTH)
    connection.execute(_STATEMENTS[size], parameters)


def _insert_in_pieces(connection: sqlite3.Connection, parameters: list[Any]) -> None:
    for start in range(0, len(parameters), _MOST):
        _insert(connection, parameters[start : start + _MOST])


def _configure(connection: sqlite3.Connection) -> None:
    if sqlite3.sqlite_version_info < schema.MINIMUM_SQLITE:
        needed = ".".join(map(str, schema.MINIMUM_SQLITE))
        raise StorageError(
            f"SQLite {sqlite3.sqlite_version} is too old, {needed} is needed",
            hint="use a Python that is linked with a newer SQLite",
        )
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to this version, or say why it is not ours to touch."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != schema.APPLICATION_ID and (application or version or tables):
        raise StorageError(
            f"{path} belongs to another application",
            hint="move it away, or name another folder in EXAI_STATE_DIR",
        )
    if version > schema.VERSION:
        raise StorageError(
            f"{path} has schema version {version}, this exai knows up to {schema.VERSION}",
            hint="start the newer exai that wrote it, or move the file away to begin anew",
        )
    connection.execute("PRAGMA journal_mode = WAL")
    # Durable against the death of the process; a power cut may cost the last moments, never the file.
    connection.execute("PRAGMA synchronous = NORMAL")
    # A checkpoint waits for the disk: rarely under load, else when idle.
    connection.execute("PRAGMA wal_autocheckpoint = 1000")
    if version < schema.VERSION:
        script = "".join(schema.MIGRATIONS[version:])
        connection.executescript(
            f"BEGIN IMMEDIATE; {script} PRAGMA application_id = {schema.APPLICATION_ID}; "
            f"PRAGMA user_version = {schema.VERSION}; COMMIT;"
        )
