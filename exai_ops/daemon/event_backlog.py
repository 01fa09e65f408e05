"""What a client of ``/events`` is sent first: what it missed, or what it asks for of the past."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final, Protocol

from exai_ops.daemon.event_chunks import CHUNK_EVENTS, events_frame, said
from exai_ops.errors import ExaiError
from exai_ops.monitor.events import Event
from exai_ops.monitor.export import encoded
from exai_ops.monitor.filters import Matcher
from exai_ops.monitor.recorder import Monitor
from exai_ops.monitor.wire import Gap, Problem, Subscribe

_SCAN: Final = 2000
"""Kept events that are looked at between two frames."""


class KeptEvents(Protocol):
    """Events on disk, of earlier lives too."""

    def read(self, since_s: float, until_s: float) -> Iterator[Event]:
        """Those from ``since_s`` on and before ``until_s``, oldest first. Blocks; read in one thread."""


class Backlog:
    """Where a client begins, and what it is sent before that.

    Attributes:
        position: Number of the last event that was sent, or did not fit; 0 among those of the past.
    """

    def __init__(self, monitor: Monitor, stream: str, started_at: float, kept: KeptEvents | None) -> None:
        self.position = 0
        self._monitor = monitor
        self._stream = stream
        self._started_at = started_at
        self._kept = kept

    async def frames(self, wanted: Subscribe, matcher: Matcher, position: int) -> AsyncIterator[bytes]:
        """Its frames; ``position`` is where it goes on when nothing else is wanted."""
        if wanted.stream is not None and wanted.stream != self._stream:
            yield said(Gap(reason="restarted"))
            made = self._from(0, wanted.since, matcher)
        elif wanted.after is not None:
            made = self._from(wanted.after, wanted.since, matcher)
        elif wanted.since is not None:
            made = self._since(wanted.since, matcher)
        elif wanted.last:
            made = self._last(wanted.last, matcher)
        else:
            made = self._from(position, None, matcher)
        async for frame in made:
            yield frame

    async def _from(self, after: int, since: float | None, matcher: Matcher) -> AsyncIterator[bytes]:
        """All after a number; what the ring has lost comes from disk where ``since`` says from when on."""
        batch = self._monitor.since(after)
        if since is not None and self._kept is not None and (batch.missed or not after):
            async for frame in self._stored(since, _begin(batch.events), matcher):
                yield frame
        elif batch.missed:
            yield said(Gap(reason="expired", missed=batch.missed))
        async for frame in self._ring(batch.events, batch.sequence, matcher):
            yield frame

    async def _since(self, since: float, matcher: Matcher) -> AsyncIterator[bytes]:
        batch = self._monitor.since(0)
        begin = _begin(batch.events)
        if self._kept is not None and since < begin:
            async for frame in self._stored(since, begin, matcher):
                yield frame
        elif batch.missed and since < begin:
            yield said(Gap(reason="expired"))
        elif since < self._started_at:
            yield said(Gap(reason="restarted"))
        events = [event for event in batch.events if event.timestamp >= since]
        async for frame in self._ring(events, batch.sequence, matcher):
            yield frame

    async def _last(self, count: int, matcher: Matcher) -> AsyncIterator[bytes]:
        batch = self._monitor.since(0)
        found: list[Event] = []
        for end in range(len(batch.events), 0, -_SCAN):
            part = batch.events[max(0, end - _SCAN) : end]
            found += islice(filter(matcher, reversed(part)), count - len(found))
            if len(found) >= count:
                break
            await asyncio.sleep(0)
        found.reverse()
        for begin in range(0, len(found), CHUNK_EVENTS):
            yield events_frame(batch.sequence, map(encoded, found[begin : begin + CHUNK_EVENTS]))
        self.position = batch.sequence

    async def _ring(self, events: Sequence[Event], last: int, matcher: Matcher) -> AsyncIterator[bytes]:
        """Frames of the newest events, of which ``last`` is the last one's number; the loop turns between."""
        for begin in range(0, len(events), CHUNK_EVENTS):
            part = events[begin : begin + CHUNK_EVENTS]
            pieces = [encoded(event) for event in part if matcher(event)]
            sequence = last - len(events) + begin + len(part)
            if pieces:
                yield events_frame(sequence, pieces)
            self.position = sequence
            await asyncio.sleep(0)
        self.position = last

    async def _stored(self, since: float, until: float, matcher: Matcher) -> AsyncIterator[bytes]:
        """Frames of what is on disk, read in a thread of its own; number 0, for they have none here."""
        assert self._kept is not None  # noqa: S101 - asked for by the callers
        loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(1, "kept-events")
        self.position = 0
        found: Iterator[Event] | None = None
        try:
            found = await loop.run_in_executor(pool, self._kept.read, since, until)
            while True:
                pieces, more = await loop.run_in_executor(pool, _read, found, matcher)
                if pieces:
                    yield events_frame(0, pieces)
                if not more:
                    return
        except (ExaiError, OSError, sqlite3.Error) as error:
            yield said(Problem(message=f"kept events cannot be read: {error}"))
        finally:
            if isinstance(found, Generator):
                pool.submit(found.close)  # in the thread that ran it
            pool.shutdown(wait=False)


def _read(found: Iterator[Event], matcher: Matcher) -> tuple[list[bytes], bool]:
    """The next events that fit, encoded, and whether there may be more."""
    part = list(islice(found, _SCAN))
    return [encoded(event) for event in part if matcher(event)], len(part) == _SCAN


def _begin(events: Sequence[Event]) -> float:
    return events[0].timestamp if events else float("inf")
