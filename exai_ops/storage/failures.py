"""What the errors of SQLite and of the file system mean for the person."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import Final

from exai_ops.errors import StorageError


def one_line(error: BaseException | str) -> str:
    """Its message without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def _code(error: BaseException) -> int:
    """SQLite's primary result code, or 0."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_busy(error: BaseException) -> bool:
    """Whether another program has the file locked."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


_ELSEWHERE: Final = "name another folder in EXAI_STATE_DIR"
_MEANINGS: Final = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free space where the file lies, or " + _ELSEWHERE),
    sqlite3.SQLITE_READONLY: (
        "cannot be written",
        "make file and folder writable for this user, or " + _ELSEWHERE,
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened",
        "make file and folder writable for this user, or " + _ELSEWHERE,
    ),
    sqlite3.SQLITE_NOTADB: ("is not a SQLite database", "move it away, or " + _ELSEWHERE),
    sqlite3.SQLITE_CORRUPT: (
        "is damaged",
        "move it away with its -wal and -shm; `sqlite3 FILE .recover` saves what can be saved",
    ),
    sqlite3.SQLITE_BUSY: ("is locked by another program", "close what has it open (fuser FILE)"),
    sqlite3.SQLITE_LOCKED: ("is locked by another program", "close what has it open (fuser FILE)"),
    sqlite3.SQLITE_IOERR: ("disk error", "look at the disk and at the system's log"),
}


def explain(error: BaseException, path: Path) -> StorageError:
    """The error as one line that names the file, with the mend in its hint."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "free space on its disk" if full else "make the folder writable for this user"
        hint = f"{mend}, or {_ELSEWHERE}"
        return StorageError(f"{path} cannot be written: {error.strerror or one_line(error)}", hint=hint)
    meaning = _MEANINGS.get(_code(error))
    if meaning is None:
        return StorageError(f"{path}: {one_line(error)}")
    return StorageError(f"{path}: {meaning[0]} ({one_line(error)})", hint=meaning[1])
