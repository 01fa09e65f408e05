"""Files from the disk, with their limits: the one place of this room that touches the system."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from exai_ops.compose.yaml import Parsed, parse
from exai_ops.errors import CouldNotLook

MAX_BYTES: Final = 8 * 1024 * 1024


def read_bytes(path: str) -> bytes:
    """The bytes of a regular file. Raises CouldNotLook, in one line, for whatever else it is."""
    try:
        # Without O_NONBLOCK, opening a FIFO waits for a writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError:
        raise CouldNotLook(f"{path!r}: is no path") from None
    except OSError as error:
        raise CouldNotLook(f"{path}: {_reason(error)}") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise CouldNotLook(f"{path}: is {_kind(mode)}, not a file")
    with os.fdopen(descriptor, "rb") as file:
        return _bounded(file.read(MAX_BYTES + 1), path)


def read_if_there(path: str) -> bytes | None:
    """The bytes of a file, or None when there is none. Raises CouldNotLook when it cannot be read."""
    return read_bytes(path) if Path(path).exists() else None


def is_file(path: str) -> bool:
    """Whether something other than a folder is at this path."""
    return Path(path).exists() and not Path(path).is_dir()


def read_yaml(path: str) -> Parsed:
    """The documents of a compose file. Raises CouldNotLook, with ``file:line`` where there is one."""
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CouldNotLook(f"{path}:{line}: is not UTF-8") from None
    return parse(text, path)


def _bounded(data: bytes, path: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise CouldNotLook(f"{path}: is larger than {MAX_BYTES // 1024**2} MiB")
    return data


def _reason(error: OSError) -> str:
    reasons = {FileNotFoundError: "does not exist", IsADirectoryError: "is a folder, not a file"}
    return reasons.get(type(error)) or (error.strerror or "cannot be read").lower()


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a FIFO" if stat.S_ISFIFO(mode) else "a device or socket"
