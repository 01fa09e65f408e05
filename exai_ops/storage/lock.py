"""One daemon to a file: an advisory lock that dies with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from exai_ops.errors import StorageError


class FileLock:
    """An exclusive ``flock`` on ``PATH.lock``, which holds the owner's pid."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.path = path.with_name(path.name + ".lock")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take it or raise StorageError that names the owner. Raises OSError when the folder refuses."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise StorageError(
                f"{self._path} is in use by pid {owner or 'unknown'}",
                hint="stop it with `exai stop`, or name another folder in EXAI_STATE_DIR",
            ) from None
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def lost(self) -> bool:
        """Whether it is held, but on a file that is no longer there for others to see."""
        return self._descriptor is not None and not same_file(self.path, os.fstat(self._descriptor))

    def release(self) -> None:
        """Let go; the file stays, because removing it would let two owners lock two files of one name."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


def same_file(path: Path, known: os.stat_result | None) -> bool:
    """Whether a path still leads to the file it led to; True when that is not known."""
    try:
        return known is None or os.path.samestat(path.stat(), known)
    except OSError:
        return False
