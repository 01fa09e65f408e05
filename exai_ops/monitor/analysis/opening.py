"""What a file is, by its first bytes, and its bytes without their compression."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Iterator
from typing import IO, Any, Final, cast

COMPRESSED: Final = {
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
}
SQLITE: Final = b"SQLite format 3\x00"
BOM: Final = b"\xef\xbb\xbf"
CHUNK_BYTES: Final = 1 << 19
DAMAGED: Final = (EOFError, OSError, lzma.LZMAError, zlib.error)
"""What reading raises where a compressed file is cut short or damaged, or the disk fails; zstandard's own
error is an ``OSError`` here.
"""


class Head:
    """A stream whose first bytes have been looked at; the position of ``raw``, the file, is progress."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.raw = raw
        self.compression = ""
        stream: IO[bytes] = _Peeked(raw)
        first = cast("_Peeked", stream).peek(8)
        for magic, name in COMPRESSED.items():
            if first.startswith(magic):
                self.compression = name
                stream = _Peeked(_decompressed(stream, name))
        self.stream = stream

    def peek(self, size: int = 4096) -> bytes:
        """The first bytes of what is read, still to be read. Raises one of ``DAMAGED``."""
        return cast("_Peeked", self.stream).peek(size)

    def chunks(self) -> Iterator[bytes]:
        """All of it. Raises one of ``DAMAGED``."""
        while data := self.stream.read(CHUNK_BYTES):
            yield data


class _Peeked(io.RawIOBase, IO[bytes]):
    """A stream that can be looked at before it is read, a pipe too."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream
        self._held = b""

    def peek(self, size: int) -> bytes:
        while len(self._held) < size and (more := self._stream.read(size - len(self._held))):
            self._held += more
        return self._held[:size]

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            held, self._held = self._held, b""
            return held + self._stream.read()
        if self._held:
            held, self._held = self._held[:size], self._held[size:]
            return held
        return self._stream.read(size)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _decompressed(stream: IO[bytes], name: str) -> IO[bytes]:
    if name == "gz":
        import gzip

        return cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
    if name == "bz2":
        import bz2

        return bz2.BZ2File(stream)
    if name == "xz":
        return lzma.LZMAFile(stream)
    return cast("IO[bytes]", _Zst(stream))


class _Zst:
    """zstandard, with its error as an OSError, and an end in the middle told as one."""

    def __init__(self, stream: IO[bytes]) -> None:
        import zstandard

        self._error = zstandard.ZstdError
        self._new = zstandard.ZstdDecompressor
        self._stream = stream
        self._frame = self._new().decompressobj()
        self._left = b""
        self._ended = False
        self._in_frame = False

    def read(self, size: int = -1) -> bytes:
        """The next bytes, about ``size`` or fewer; empty at the end. Raises OSError, EOFError."""
        parts, have = [], 0
        while not self._ended and (size < 0 or have < size):
            data = self._next()
            parts.append(data)
            have += len(data)
        whole = self._left + b"".join(parts)
        if size < 0:
            self._left = b""
            return whole
        self._left = whole[size:]
        return whole[:size]

    def _next(self) -> bytes:
        data = self._unused() or self._stream.read(1 << 16)
        if not data:
            self._ended = True
            if self._in_frame:
                raise EOFError("the compressed file ends in the middle")
            return b""
        if self._frame.eof:
            self._frame = self._new().decompressobj()
        try:
            out = self._frame.decompress(data)
        except self._error as error:
            self._ended = True
            raise OSError(str(error)) from error
        self._in_frame = not self._frame.eof
        return out

    def _unused(self) -> bytes:
        return self._frame.unused_data if self._frame.eof else b""
