"""The monitor: one cheap call per event, a bounded ring of the last ones, exact totals of all.

``record`` appends a tuple to a backlog (an append to a deque is atomic, no lock is taken), and every
``FOLD_AT`` events the recording thread folds the backlog into the totals and the ring. Reads fold first,
so they show everything that was recorded before them; and nothing reaches the ring, from which it may
fall, before it is counted. Sampling comes after that: it thins the ring, and all that is read from it, not
the totals.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from exai_ops.monitor.aggregates import Aggregates, SeriesNow, SeriesStats, TypeNow, TypeStats
from exai_ops.monitor.events import Event, Metadata, RawEvent
from exai_ops.monitor.histogram import Histogram
from exai_ops.monitor.sampling import Sampling
from exai_ops.monitor.scopes import Timed

FOLD_AT: Final = 256
FOLD_AT_MOST: Final = 1024
"""Events that one call of ``record`` folds at most: bounds what it may take, about half a millisecond."""

BACKLOG_MAX: Final = 8192
"""Here a recording thread waits for the lock, where otherwise it leaves folding to the next."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in order.

    Attributes:
        sequence: Number of the last event recorded so far: what to ask ``since`` next.
        missed: Events asked for that had already left the ring.
    """

    events: list[Event]
    sequence: int
    missed: int = 0


class Monitor:
    """Records events from any thread.

    Args:
        capacity: Events that the ring holds.
        clock: Gives seconds since the epoch.
        sampling: Which events are kept; None for ``sampling.DEFAULT``.
    """

    def __init__(
        self,
        capacity: int = 10_000,
        *,
        clock: Callable[[], float] = time.time,
        sampling: Sampling | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self._clock = clock
        self._backlog: deque[RawEvent] = deque()
        self._call_at = FOLD_AT
        self._wakes: deque[Callable[[], None]] = deque()
        self._open: dict[object, str] = {}
        self._lock = threading.RLock()  # a finaliser or signal handler may record or read in mid-fold
        self._busy = False
        self._ring: deque[RawEvent] = deque(maxlen=capacity)
        self._sequence = 0
        self._aggregates = Aggregates(sampling or Sampling())

    def record(
        self,
        connection_type: str,
        direction: str,
        *,
        script_name: str,
        function_name: str,
        data_size_bytes: int = 0,
        response_time_ms: float | None = None,
        error: str | None = None,
        metadata: Metadata = None,
    ) -> None:
        """Record one event, now. The metadata is kept, not copied: do not change it afterwards.

        Never raises for what the values hold: an event that cannot be counted (a size of None, a response
        time below 0 or not finite) is dropped and shows in ``malformed``; metadata is only looked at when
        it is exported.
        """
        backlog = self._backlog
        backlog.append(
            (
                self._clock(),
                connection_type,
                direction,
                script_name,
                function_name,
                data_size_bytes,
                response_time_ms,
                error,
                metadata,
                1,
            )
        )
        if len(backlog) >= self._call_at:
            self._called()

    @contextmanager
    def connection(
        self,
        connection_type: str,
        *,
        script_name: str,
        function_name: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """A scope that is one active connection: it records ``connect`` and ``disconnect``.

        It gives the metadata of the latter, to which the scope may add; ``duration_s`` is put there too. When
        an exception ends the scope, its type is the error (a cancellation is none). Only these scopes count
        as active connections, so the gauge cannot drift.
        """
        record = partial(self.record, connection_type, script_name=script_name, function_name=function_name)
        scope, began, error, told = object(), time.monotonic(), None, dict(metadata or {})
        self._open[scope] = connection_type
        record("connect", metadata=metadata)
        try:
            yield told
        except Exception as exc:
            error = type(exc).__name__
            raise
        finally:
            del self._open[scope]
            told["duration_s"] = round(time.monotonic() - began, 6)
            record("disconnect", error=error, metadata=told)

    def timed(
        self,
        connection_type: str,
        direction: str,
        *,
        script_name: str,
        function_name: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> Timed:
        """A scope, for ``with`` or ``async with``, that is one call: see ``scopes.Timed``."""
        record = partial(self.record, connection_type, script_name=script_name, function_name=function_name)
        return Timed(record, direction, metadata)

    @property
    def sequence(self) -> int:
        """Number of the last event that was kept; they count from 1."""
        with self._settled():
            return self._sequence

    @property
    def malformed(self) -> int:
        """Events dropped because they could not be counted."""
        with self._settled():
            return self._aggregates.malformed

    @property
    def sampled_out(self) -> int:
        """Events that were counted and not kept, because others stand for them."""
        with self._settled():
            return self._aggregates.sampled_out

    def stats(self) -> dict[str, TypeStats]:
        """Statistics by connection type, over all events since the start."""
        active = Counter(self._open.copy().values())
        with self._settled():
            return self._aggregates.by_type(active)

    def by_type(self) -> dict[str, TypeNow]:
        """Statistics by connection type: since the start, and rates and percentiles of the last minute."""
        active, now = Counter(self._open.copy().values()), self._clock()
        with self._settled():
            return self._aggregates.now_by_type(active, now)

    def by_series(self, busiest: int | None = None) -> list[SeriesNow]:
        """The same by type, function and direction; those with the most events first, at most ``busiest``."""
        now = self._clock()
        with self._settled():
            return self._aggregates.now_by_series(now, busiest)

    def series(self) -> list[SeriesStats]:
        """Statistics by type, function and direction, over all events since the start."""
        with self._settled():
            return self._aggregates.by_series()

    def durations_ms(self, connection_type: str, direction: str | None = None) -> Histogram:
        """Response times of a type (and direction), as a histogram of one's own."""
        with self._settled():
            return self._aggregates.durations_ms(connection_type, direction)

    def recent(self, n: int | None = None) -> list[Event]:
        """The last ``n`` events (None: all that the ring holds), oldest first."""
        with self._settled():
            raw = self._last(len(self._ring) if n is None else n)
        return [Event.of(one) for one in raw]

    def since(self, sequence: int) -> Batch:
        """The events after number ``sequence`` that the ring still holds, oldest first."""
        with self._settled():
            last = self._sequence
            raw = self._last(last - sequence)
        return Batch([Event.of(one) for one in raw], last, max(0, last - sequence - len(raw)))

    def export(self) -> bytes:
        """Statistics by type and the ring as JSON: ``{"summary": {...}, "recent_events": [...]}``."""
        from exai_ops.monitor.export import document

        with self._settled():
            summary, raw = self.stats(), list(self._ring)
        return document(summary, raw)

    def export_to(self, path: Path) -> None:
        """Write ``export`` to a file, atomically. Blocks on the disk; raises OSError."""
        from exai_ops.monitor.export import write_atomically

        write_atomically(path, self.export())

    def on_next(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called once, from the recording thread, at the next event; it may come early.

        It must be quick: ``loop.call_soon_threadsafe(event.set)``. With nobody waiting it costs nothing.
        """
        self._wakes.append(wake)
        self._call_at = 1

    def forget(self, wake: Callable[[], None]) -> None:
        """Take back what ``on_next`` was given, if it was not called yet."""
        try:
            self._wakes.remove(wake)
        except ValueError:
            return

    def _called(self) -> None:
        """What ``record`` leaves for one event in many: wake those who wait, fold the backlog."""
        self._call_at = FOLD_AT  # before the wakes are taken, so that one added meanwhile sets it back
        while self._wakes:
            self._wake_one()
        waiting = len(self._backlog)
        if waiting >= FOLD_AT and self._lock.acquire(blocking=waiting >= BACKLOG_MAX):
            try:
                self._fold(FOLD_AT_MOST)
            finally:
                self._lock.release()

    def _wake_one(self) -> None:
        try:
            self._wakes.popleft()()
        except IndexError:
            return  # another thread took it
        except Exception:  # noqa: BLE001 foreign code must not fail the boundary that records
            _log.exception("a callback of the monitor failed")

    def _fold(self, at_most: int) -> None:
        """Move events from the backlog into totals and ring, in order; the lock is held."""
        if self._busy:
            return  # within a fold or a read of this same thread, which must not see the totals move
        self._busy = True
        try:
            waiting = min(len(self._backlog), at_most)
            events = list(islice(iter(self._backlog.popleft, None), waiting))  # calls it in C
            kept = self._aggregates.add(events)
            self._ring.extend(kept)
            self._sequence += len(kept)
        finally:
            self._busy = False

    @contextmanager
    def _settled(self) -> Iterator[None]:
        """Hold the lock with the backlog folded, and keep it so."""
        with self._lock:
            self._fold(len(self._backlog))
            was_busy, self._busy = self._busy, True
            try:
                yield
            finally:
                self._busy = was_busy

    def _last(self, n: int) -> list[RawEvent]:
        """The ring's last ``n``, oldest first: from the right, where a deque is quick to reach them."""
        found = list(islice(reversed(self._ring), max(0, n)))
        found.reverse()
        return found
