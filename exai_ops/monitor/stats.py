"""Totals, rates and percentiles by any of type, function and direction.

Here of events, each counted with its weight, for what only they can tell: a filter's share, a stretch of the
past, what is left on disk. ``state_stats`` has the same of what a daemon has counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from exai_ops.monitor.aggregates import TypeStats
from exai_ops.monitor.events import Event
from exai_ops.monitor.histogram import Histogram
from exai_ops.monitor.wire import Rates

KEYS: Final = ("type", "function", "direction")
"""What rows may be told apart by, in this order."""
_FIELDS: Final = {"type": 1, "function": 4, "direction": 2}

Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Response times in ms, within ``histogram.RELATIVE_ERROR``; None where none is known."""

    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """The same as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


UNKNOWN: Final = Percentiles()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is known of the events that share a key.

    Attributes:
        errors: Events with an error, and those of the direction ``error``.
        sent_bytes, received_bytes: Over the directions ``send`` and ``receive``.
        active: Open connections, where rows are types of a daemon.
        whole: Over all the time that is told of; ``lately`` over the last minute of a daemon.
    """

    key: Key
    events: int = 0
    errors: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    mean_ms: float | None = None
    last_event_timestamp: float | None = None
    active: int | None = None
    rates: Rates | None = None
    whole: Percentiles = UNKNOWN
    lately: Percentiles = UNKNOWN

    @property
    def error_share(self) -> float:
        """0 to 1."""
        return self.errors / self.events if self.events else 0.0

    def as_dict(self, by: Sequence[str]) -> dict[str, Any]:
        """The same as JSON values, the key under its names."""
        shown: dict[str, Any] = dict(zip(by, self.key, strict=False))
        for name in ("events", "errors", "error_share", "sent_bytes", "received_bytes", "mean_ms"):
            shown[name] = getattr(self, name)
        shown |= self.whole.as_dict()
        shown["last_event_timestamp"] = self.last_event_timestamp
        if self.active is not None:
            shown["active_connections"] = self.active
        if self.rates is not None:
            rates = {name: getattr(self.rates, name) for name in self.rates.__struct_fields__}
            shown["last_60s"] = {"rates": rates, **self.lately.as_dict()}
        return shown


# --- of events ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Sum:
    events: int = 0
    errors: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    last: float | None = None
    durations_ms: Histogram = field(default_factory=Histogram)


class Counted:
    """Counts events by the keys ``by``.

    Attributes:
        kept: How many events there were, each as one.
        first, last: Least and greatest time, seconds since the epoch; None without an event.
    """

    def __init__(self, by: Sequence[str] = ("type",)) -> None:
        self.kept = 0
        self.first: float | None = None
        self.last: float | None = None
        self._fields = [_FIELDS[name] for name in by]
        self._sums: dict[Key, _Sum] = {}

    def add(self, events: Iterable[Event]) -> None:
        """Count events."""
        for event in events:
            self._add(event)

    def _add(self, event: Event) -> None:
        at, direction, size, weight = event[0], event[2], event[5], event[9]
        key = tuple([str(event[n]) for n in self._fields])
        row = self._sums.get(key) or self._sums.setdefault(key, _Sum())
        row.events += weight
        if event[7] is not None or direction == "error":
            row.errors += weight
        if direction == "send":
            row.sent_bytes += size * weight
        elif direction == "receive":
            row.received_bytes += size * weight
        if event[6] is not None:
            row.durations_ms.add_times(event[6], weight)
        row.last = at if row.last is None else max(row.last, at)
        self.kept += 1
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)

    @property
    def stand_for(self) -> int:
        """How many events those are that were kept, weights counted."""
        return sum(row.events for row in self._sums.values())

    def rows(self) -> list[Row]:
        """A row for each key."""
        return [_row(key, row) for key, row in sorted(self._sums.items())]

    def total(self) -> Row:
        """All of them as one row, with an empty key."""
        merged = _Sum(last=self.last)
        for row in self._sums.values():
            merged.events += row.events
            merged.errors += row.errors
            merged.sent_bytes += row.sent_bytes
            merged.received_bytes += row.received_bytes
            merged.durations_ms.merge(row.durations_ms)
        return _row((), merged)

    def summary(self) -> dict[str, TypeStats]:
        """As an export has it; for what was counted by type."""
        return {
            key[0]: TypeStats(
                total_events=row.events,
                total_sent_bytes=row.sent_bytes,
                total_received_bytes=row.received_bytes,
                total_errors=row.errors,
                avg_response_time_ms=row.durations_ms.mean,
                last_event_timestamp=row.last,
            )
            for key, row in sorted(self._sums.items())
        }


def _row(key: Key, row: _Sum) -> Row:
    return Row(
        key=key,
        events=row.events,
        errors=row.errors,
        sent_bytes=row.sent_bytes,
        received_bytes=row.received_bytes,
        mean_ms=row.durations_ms.mean,
        last_event_timestamp=row.last,
        whole=Percentiles(*row.durations_ms.percentiles((50, 95, 99))),
    )


# --- together ------------------------------------------------------------------------------


def joined(rows: Sequence[Row]) -> Row:
    """The sums of rows, with an empty key; means and percentiles are not known of that."""
    rates = [row.rates for row in rows if row.rates is not None]
    active = [row.active for row in rows if row.active is not None]
    return Row(
        key=(),
        events=sum(row.events for row in rows),
        errors=sum(row.errors for row in rows),
        sent_bytes=sum(row.sent_bytes for row in rows),
        received_bytes=sum(row.received_bytes for row in rows),
        last_event_timestamp=max(
            (row.last_event_timestamp for row in rows if row.last_event_timestamp is not None), default=None
        ),
        active=sum(active) if active else None,
        rates=added(rates) if rates else None,
    )


def added(rates: Iterable[Rates]) -> Rates:
    """The sums of rates."""
    rates = list(rates)
    return Rates(**{name: sum(getattr(one, name) for one in rates) for name in Rates.__struct_fields__})


_ORDERS: Final[Mapping[str, Callable[[Row], float]]] = {
    "events": lambda row: row.events,
    "errors": lambda row: row.errors,
    "error-share": lambda row: row.error_share,
    "rate": lambda row: row.rates.events_60s if row.rates else row.events,
    "bytes": lambda row: row.sent_bytes + row.received_bytes,
    "mean": lambda row: row.mean_ms or 0.0,
    "p50": lambda row: _either(row, "p50_ms"),
    "p95": lambda row: _either(row, "p95_ms"),
    "p99": lambda row: _either(row, "p99_ms"),
}
ORDERS: Final = (*_ORDERS, "name")


def _either(row: Row, name: str) -> float:
    """Lately, else over all the time."""
    lately = getattr(row.lately, name)
    return float((getattr(row.whole, name) if lately is None else lately) or 0.0)


def ordered(rows: Iterable[Row], order: str) -> list[Row]:
    """By one of ``ORDERS``, the greatest first; by name from a to z, which decides between equals too."""
    named = sorted(rows, key=lambda row: row.key)
    return named if order == "name" else sorted(named, key=_ORDERS[order], reverse=True)
