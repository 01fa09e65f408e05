"""Server-sent events: bytes in any split become the data of whole events (WHATWG HTML, section 9.2.6).

Only ``data`` matters to the providers; ``event``, ``id``, ``retry`` and comments are read past.
"""

from __future__ import annotations

from typing import Final

MAX_EVENT_BYTES: Final = 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """A line, or the data of one event, exceeds ``MAX_EVENT_BYTES``."""


class EventParser:
    """Gives the data of each event that is complete; an unfinished one at the end is dropped."""

    __slots__ = ("_after_cr", "_data", "_data_bytes", "_fresh", "_line", "_line_bytes")

    def __init__(self) -> None:
        self._line: list[bytes] = []  # pieces of the unfinished line
        self._line_bytes = 0
        self._data: list[bytes] = []  # data lines of the unfinished event
        self._data_bytes = 0
        self._after_cr = False  # the last byte was CR: an LF that follows belongs to it
        self._fresh = True  # the first line, which may begin with a byte order mark, is not done

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that ``chunk`` completes, in order. Raises EventTooLarge."""
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[0] == 10:
                chunk = chunk[1:]
        lines = chunk.splitlines(keepends=True)
        if not lines:
            return []
        if self._line:
            lines[0] = self._joined(lines[0])
        if lines and lines[-1][-1:] not in (b"\n", b"\r"):
            self._keep(lines.pop())
        else:
            self._after_cr = lines[-1][-1] == 13
        return self._take(lines) if lines else []

    def _joined(self, rest: bytes) -> bytes:
        """The unfinished line with what came now, unless it is unfinished still."""
        if rest[-1] not in (10, 13):
            return rest
        whole = b"".join(self._line) + rest
        self._line.clear()
        self._line_bytes = 0
        return whole

    def _keep(self, part: bytes) -> None:
        self._line.append(part)
        self._line_bytes += len(part)
        if self._line_bytes > MAX_EVENT_BYTES:
            raise EventTooLarge(f"a line of more than {MAX_EVENT_BYTES} bytes")

    def _take(self, lines: list[bytes]) -> list[bytes]:
        if self._fresh:
            self._fresh = False
            lines[0] = lines[0].removeprefix(_BOM)
        events: list[bytes] = []
        for line in lines:
            if line.startswith(b"data"):
                self._add(line.rstrip(b"\r\n"))
            elif line in (b"\n", b"\r", b"\r\n") and self._data:
                events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data.clear()
                self._data_bytes = 0
        return events

    def _add(self, line: bytes) -> None:
        if line.startswith(b"data: "):
            value = line[6:]
        elif line.startswith(b"data:"):
            value = line[5:]
        elif line == b"data":
            value = b""
        else:
            return
        self._data.append(value)
        self._data_bytes += len(value) + 1
        if self._data_bytes > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event of more than {MAX_EVENT_BYTES} bytes")
