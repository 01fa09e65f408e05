"""Where an export goes: stdout, or a file that is replaced once the whole of it is on disk."""

from __future__ import annotations

import contextlib
import gzip
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self, cast

from exai_ops.errors import ExaiError, UsageError
from exai_ops.monitor import writers
from exai_ops.monitor.aggregates import TypeStats
from exai_ops.monitor.events import Event
from exai_ops.monitor.export import replacing

_GZIP_LEVEL: Final = 6
_FORMATS: Final = ", ".join(writers.FORMATS)


class Destination:
    """What was asked for: a file (None for stdout), a format, ``gz`` or ``zst`` or None.

    Attributes:
        words: Where it goes, for a message.

    Raises UsageError for what does not go together.
    """

    def __init__(self, output: Path | None, format_: str | None, compression: str | None) -> None:
        self.path = None if output is None or str(output) == "-" else output
        self.words = "stdout" if self.path is None else str(self.path)
        named, ending = (None, None) if self.path is None else writers.of_name(self.path.name)
        self.format = format_ or named or "json"
        self.compression = ending if compression is None else compression
        if self.format not in writers.FORMATS:
            raise UsageError(f"--format: {self.format!r} is not known", hint=_FORMATS)
        if self.compression not in {None, *writers.COMPRESSIONS.values()}:
            raise UsageError(f"--compress: {self.compression!r} is not known", hint="gz or zst")
        if self.format == "sqlite" and (self.path is None or self.compression):
            what = "stdout" if self.path is None else "a compressed file"
            raise UsageError(f"--format: sqlite cannot be written to {what}", hint="--output events.sqlite3")
        if self.path is not None:
            self.path = _checked(self.path, self.format)


def _checked(path: Path, format_: str) -> Path:
    try:
        if path.is_dir():
            raise UsageError(f"--output: {path} is a folder", hint=f"{path / f'events.{format_}'}")
        if not path.parent.is_dir():
            raise UsageError(f"--output: there is no folder {path.parent}", hint="make it first")
        if format_ == "sqlite" and path.exists() and not path.is_file():
            raise UsageError(f"--output: {path} is no file, which sqlite needs")
        return path.resolve() if path.is_file() else path  # what a link leads to is replaced, not the link
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"--output: {str(path)!r} cannot be used: {said}") from error


class Output:
    """An export that is being written, for ``with``; left by an exception, the old file is what it was.

    What cannot be written raises ExaiError that says so.
    """

    def __init__(self, destination: Destination) -> None:
        self._to = destination
        self._stack = contextlib.ExitStack()
        self._writer: writers.Writer | None = None

    def __enter__(self) -> Self:
        with self._told(), contextlib.ExitStack() as stack:
            self._writer = self._opened(stack)
            stack.callback(self._writer.close)
            self._stack = stack.pop_all()
        return self

    def add(self, events: Sequence[Event]) -> None:
        """The next events."""
        assert self._writer is not None  # noqa: S101 - it was entered
        with self._told():
            self._writer.add(events)

    def end(self, summary: Mapping[str, TypeStats]) -> None:
        """There are no more."""
        assert self._writer is not None  # noqa: S101 - as above
        with self._told():
            self._writer.end(summary)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._told():
            self._stack.__exit__(kind, error, trace)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except (OSError, sqlite3.Error) as error:
            if self._to.path is None:
                raise  # the edge of the process tells of stdout
            said = getattr(error, "strerror", None) or str(error)
            kept = "; the file is as it was" if self._to.path.exists() else "; no file was made"
            raise ExaiError(f"{self._to.words} cannot be written: {said}{kept}") from error

    def _opened(self, stack: contextlib.ExitStack) -> writers.Writer:
        path, folder = self._to.path, None
        if path is None:
            stream: IO[bytes] = sys.stdout.buffer
        elif path.exists() and not path.is_file():  # a device, a pipe: there is nothing to replace
            stream = stack.enter_context(path.open("wb"))
        else:
            part = stack.enter_context(replacing(path))
            if self._to.format == "sqlite":
                return writers.Sqlite(part)
            stream, folder = stack.enter_context(part.open("wb")), path.parent
        stream = _compressing(stream, self._to.compression, stack)
        if self._to.format == "json":
            return writers.Json(stream, folder)
        return writers.Ndjson(stream) if self._to.format == "ndjson" else writers.Csv(stream)


def _compressing(stream: IO[bytes], compression: str | None, stack: contextlib.ExitStack) -> IO[bytes]:
    if compression == "gz":
        packed = gzip.GzipFile("", "wb", _GZIP_LEVEL, stream)
        stack.callback(packed.close)
        return cast("IO[bytes]", packed)
    if compression == "zst":
        import zstandard

        return stack.enter_context(zstandard.ZstdCompressor().stream_writer(stream, closefd=False))
    return stream
