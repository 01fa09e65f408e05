"""Events on their way to the clients of ``/events``: encoded once, in frames that clients share.

A frame of a server is not masked, so the same bytes are good for every client.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from websockets.frames import Frame, Opcode

from exai_ops.monitor.events import Event
from exai_ops.monitor.export import encoded
from exai_ops.monitor.filters import Matcher
from exai_ops.monitor.wire import Filter

CHUNK_EVENTS: Final = 512
"""Events of one frame at most: bounds what encoding and sending them takes at once."""
KEEP_EVENTS: Final = 8192
KEEP_BYTES: Final = 8 * 1024 * 1024
"""How far a slow client may fall behind before it loses events: of all that it has, encoded."""

_ENCODE: Final = msgspec.json.Encoder().encode


def on_wire(text: bytes) -> bytes:
    """A text frame as it goes over the wire, from a server."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)


def said(message: Any) -> bytes:
    """A message of ``monitor.wire`` as it goes over the wire."""
    return on_wire(_ENCODE(message))


def events_frame(sequence: int, events: Iterable[bytes]) -> bytes:
    """The ``events`` frame of events that are encoded already."""
    return on_wire(b'{"op":"events","sequence":%d,"events":[%b]}' % (sequence, b",".join(events)))


class Chunk:
    """Events in order.

    Attributes:
        last: Number of the last one.
        missed: Events just before the first that had left the ring before anybody came to take them.
    """

    __slots__ = ("_frames", "_pieces", "_settled", "events", "last", "missed")

    def __init__(self, events: Sequence[Event], last: int, missed: int = 0) -> None:
        self.events = events
        self.last = last
        self.missed = missed
        self._pieces: list[bytes | None] = [None] * len(events)
        self._frames: dict[Filter, bytes | None] = {}
        self._settled = False

    @property
    def before(self) -> int:
        """Number of the event before the first, those missed left out."""
        return self.last - len(self.events)

    def frame(self, wanted: Filter, matcher: Matcher) -> bytes | None:
        """The frame of the events that fit, None where none does."""
        if self._settled:
            return self._made(matcher)
        if wanted not in self._frames:
            self._frames[wanted] = self._made(matcher)
        return self._frames[wanted]

    def _made(self, matcher: Matcher) -> bytes | None:
        fits = [n for n, event in enumerate(self.events) if matcher(event)]
        return events_frame(self.last, map(self._piece, fits)) if fits else None

    def _piece(self, n: int) -> bytes:
        piece = self._pieces[n]
        if piece is None:
            piece = encoded(self.events[n])
            if not self._settled:
                self._pieces[n] = piece
        return piece

    def settle(self) -> int:
        """Keep no more, and no frames, once everybody who keeps up has them; bytes that are kept."""
        self._frames.clear()
        self._settled = True
        return sum(len(piece) for piece in self._pieces if piece is not None)


class Chunks:
    """The last chunks, for clients that are a little behind.

    Attributes:
        start: Number of the event before the first that is kept.
        sequence: Number of the last one.
    """

    def __init__(self, sequence: int) -> None:
        self.start = self.sequence = sequence
        self._kept: deque[tuple[Chunk, int]] = deque()
        self._events = 0
        self._bytes = 0

    def add(self, chunk: Chunk) -> None:
        """Put it at the end."""
        self._kept.append((chunk, 0))
        self._events += len(chunk.events)
        self.sequence = chunk.last

    def settle(self) -> None:
        """Count what the last chunk takes, and let go of the first ones where that is too much."""
        chunk, _ = self._kept.pop()
        size = chunk.settle()
        self._kept.append((chunk, size))
        self._bytes += size
        while len(self._kept) > 1 and (self._events > KEEP_EVENTS or self._bytes > KEEP_BYTES):
            gone, size = self._kept.popleft()
            self._events -= len(gone.events)
            self._bytes -= size
            self.start = gone.last

    def after(self, sequence: int) -> Iterator[Chunk]:
        """The chunks with an event after that number, in order."""
        newer: list[Chunk] = []
        for chunk, _ in reversed(self._kept):
            if chunk.last <= sequence:
                break
            newer.append(chunk)
        return reversed(newer)
