"""A dotenv file from the disk: what is no file of text is refused in a line, in bounded time."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from exai_ops.env.document import parse
from exai_ops.env.model import Document
from exai_ops.errors import CouldNotLook

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_DOCUMENT_BYTES: Final = 4 * 1024 * 1024
MAX_LINES: Final = 100_000  # some 10 s of judging; the largest file that was seen has 500
MAX_REFERENCES: Final = 1000  # of one line; what they open is looked for to its end, once for each


def load_document(path: str | Path) -> Document:
    """The document of a file. Raises CouldNotLook for what cannot be read, or is no text."""
    return parse(read_text(path), str(path))


def read_text(path: str | Path) -> bytes:
    """The bytes of a file that may be a dotenv file. Raises CouldNotLook for any other."""
    data = read_file(path, MAX_DOCUMENT_BYTES)
    if b"\0" in data:
        raise CouldNotLook(f"{path}: is binary", hint="name a dotenv file")
    lines = data.count(b"\n")
    if lines > MAX_LINES:
        raise CouldNotLook(
            f"{path}: has {lines} lines; a dotenv file has at most {MAX_LINES}", hint="name a dotenv file"
        )
    if data.count(b"${") > MAX_REFERENCES and any(
        line.count(b"${") > MAX_REFERENCES for line in data.split(b"\n")
    ):
        raise CouldNotLook(f"{path}: has more than {MAX_REFERENCES} ${{ in a line", hint="name a dotenv file")
    return data


def read_file(path: str | Path, most: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file of at most ``most``. Never waits for the other end of a FIFO."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CouldNotLook(f"{path}: {error.strerror}", hint="name a readable file") from error
    try:
        _check(path, os.fstat(number), most)
        with os.fdopen(os.dup(number), "rb") as stream:
            return stream.read(most + 1)
    except OSError as error:
        raise CouldNotLook(f"{path}: {error.strerror}", hint="name a readable file") from error
    finally:
        os.close(number)


def _check(path: str | Path, state: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise CouldNotLook(f"{path}: is {_kind(state.st_mode)}, not a file", hint="name a dotenv file")
    if state.st_size > most:
        raise CouldNotLook(
            f"{path}: has {state.st_size} bytes; at most {most} are read", hint="name a dotenv file"
        )


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a FIFO" if stat.S_ISFIFO(mode) else "a device or a socket"
