"""What of a series happened lately: rates, and percentiles of the last minute.

Events and errors are counted by the second; response times go to a histogram for each ``SLOT_S`` seconds,
merged when they are read. An event counts where its own timestamp says, so it does not matter when it is
folded; at the turn of a second it may count with its neighbour.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from exai_ops.monitor.histogram import Histogram

WINDOW_S: Final = 60
SLOT_S: Final = 5
_SLOTS: Final = WINDOW_S // SLOT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Events and errors per second over the last 1, 10 and 60 whole seconds, the running one left out."""

    events_1s: float = 0.0
    events_10s: float = 0.0
    events_60s: float = 0.0
    errors_1s: float = 0.0
    errors_10s: float = 0.0
    errors_60s: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """The same as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """What happened lately.

    Attributes:
        p50_ms, p95_ms, p99_ms: Of the last 60 to 65 s, the running second included, within
            ``histogram.RELATIVE_ERROR``; None without a timed event.
        timed: How many events they are of.
    """

    rates: Rates
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    timed: int

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__} | {"rates": self.rates.as_dict()}


class Window:
    """The last minute of one series. Not thread-safe: its owner holds a lock.

    A clock that was set back or forward leaves what it counted before out of what is read; nothing is counted
    twice.
    """

    __slots__ = ("_seconds", "_slots")

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = (
            deque()
        )  # second, events, errors; only those in which there were any
        self._slots: deque[tuple[int, Histogram]] = deque()

    def count(self, second: int, events: int, errors: int) -> None:
        """Count events of one second since the epoch."""
        seconds = self._seconds
        if seconds and seconds[-1][0] == second:
            seconds[-1][1] += events
            seconds[-1][2] += errors
            return
        seconds.append([second, events, errors])
        while abs(second - seconds[0][0]) > WINDOW_S:
            seconds.popleft()

    def durations_ms(self, second: int) -> Histogram:
        """Where the response times of one second go."""
        slot, slots = second // SLOT_S, self._slots
        if slots and slots[-1][0] == slot:
            return slots[-1][1]
        histogram = Histogram()
        slots.append((slot, histogram))
        while abs(slot - slots[0][0]) > _SLOTS:
            slots.popleft()
        return histogram

    def merge_into(self, merged: Histogram, now: float) -> None:
        """Add the response times of the last minute before ``now``."""
        this = int(now) // SLOT_S
        for slot, histogram in self._slots:
            if this - _SLOTS <= slot <= this:
                merged.merge(histogram)

    def counts(self, now: float) -> Iterator[tuple[int, int, int]]:
        """How many seconds before this one, events, errors; those in which there were any."""
        this = int(now)
        return ((this - second, events, errors) for second, events, errors in self._seconds)


def recent(windows: Collection[Window], now: float) -> Recent:
    """What the windows hold together, read at ``now``, seconds since the epoch."""
    merged = Histogram()
    for window in windows:
        window.merge_into(merged, now)
    p50, p95, p99 = merged.percentiles((50, 95, 99))
    return Recent(rates=_rates(windows, now), p50_ms=p50, p95_ms=p95, p99_ms=p99, timed=merged.count)


def _rates(windows: Iterable[Window], now: float) -> Rates:
    """Over the whole seconds before this one."""
    told: dict[str, float] = {}
    counts = [count for window in windows for count in window.counts(now)]
    for seconds in (1, 10, WINDOW_S):
        within = [(events, errors) for age, events, errors in counts if 1 <= age <= seconds]
        told[f"events_{seconds}s"] = sum(events for events, _ in within) / seconds
        told[f"errors_{seconds}s"] = sum(errors for _, errors in within) / seconds
    return Rates(**told)
