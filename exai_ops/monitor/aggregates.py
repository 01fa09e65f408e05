"""Running totals of events by type, function and direction, and the statistics read from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, TypeAlias

from exai_ops.monitor.events import RawEvent
from exai_ops.monitor.histogram import Histogram
from exai_ops.monitor.sampling import Sampler, Sampling
from exai_ops.monitor.windows import Recent, Window, recent

MAX_SERIES: Final = 1_000
"""Series beyond it are counted under ``OTHER``, so that a name made per request cannot eat the memory."""

OTHER: Final = "(other)"

SeriesKey: TypeAlias = tuple[str, str, str]
"""Connection type, function, direction."""


MALFORMED: Final = (TypeError, ValueError, OverflowError)
"""What counting an event raises when its values are none that can be counted."""


class Series:
    """Totals of the events that share a key, and their last minute.

    Attributes:
        sampler: Says which of them are kept; None where all are.
    """

    __slots__ = (
        "_all_errors",
        "count",
        "data_size_bytes",
        "durations_ms",
        "errors",
        "last_timestamp",
        "sampler",
        "window",
    )

    def __init__(self, direction: str, sampler: Sampler | None) -> None:
        self.count = 0
        self.data_size_bytes = 0
        self.errors = 0
        self.last_timestamp = 0.0
        self.durations_ms = Histogram()
        self.window = Window()
        self.sampler = sampler
        self._all_errors = direction == "error"

    def add(self, events: Sequence[RawEvent], second: int) -> int:
        """Count events of one key and second; how many of them are errors.

        Raises one of ``MALFORMED``, having counted none of them.
        """
        sizes = [event[5] for event in events]
        size = sum(sizes)
        if min(sizes) < 0 or not isinstance(size, int):
            raise ValueError("a size is a whole number of at least 0")
        count = len(events)
        errors = count if self._all_errors else len([1 for event in events if event[7] is not None])
        durations = [event[6] for event in events if event[6] is not None]
        if durations:
            self.durations_ms.add_all(durations, self.window.durations_ms(second))
        self.window.count(second, count, errors)
        self.count += count
        self.data_size_bytes += size
        self.errors += errors
        self.last_timestamp = events[-1][0]
        return errors


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeStats:
    """Statistics of one connection type, under the names that an export shows.

    Attributes:
        total_sent_bytes, total_received_bytes: Over the directions ``send`` and ``receive``.
        total_errors: Events with an error, and those of the direction ``error``.
        avg_response_time_ms: Over the events that have one; None when none has.
        last_event_timestamp: Seconds since the epoch, None before the first event.
        active_connections: Connections whose scope is open now.
    """

    total_events: int = 0
    total_sent_bytes: int = 0
    total_received_bytes: int = 0
    total_errors: int = 0
    avg_response_time_ms: float | None = None
    last_event_timestamp: float | None = None
    active_connections: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As exported."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesStats:
    """Statistics of one function and direction of a connection type.

    Attributes:
        p50_ms, p95_ms, p99_ms: Within ``histogram.RELATIVE_ERROR``; None when no event has a response time.
        timed: How many events have a response time.
        total_ms: Exact sum of the response times.
    """

    connection_type: str
    function_name: str
    direction: str
    count: int
    data_size_bytes: int
    errors: int
    timed: int
    total_ms: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    last_event_timestamp: float

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class TypeNow:
    """A connection type: since the start, and lately."""

    total: TypeStats
    recent: Recent

    def as_dict(self) -> dict[str, Any]:
        """Both in one, as JSON values; ``rates`` is an object within."""
        return self.total.as_dict() | self.recent.as_dict()


@dataclass(frozen=True, slots=True)
class SeriesNow:
    """A function and direction of a connection type: since the start, and lately."""

    total: SeriesStats
    recent: Recent

    def as_dict(self) -> dict[str, Any]:
        """Both as JSON values, what is lately under ``recent``."""
        return self.total.as_dict() | {"recent": self.recent.as_dict()}


class Aggregates:
    """All series. Not thread-safe: its owner holds a lock.

    Attributes:
        malformed: Events that could not be counted.
        sampled_out: Events that were counted and are not kept.
    """

    def __init__(self, sampling: Sampling) -> None:
        self.malformed = 0
        self.sampled_out = 0
        self._sampling = sampling
        self._series: dict[SeriesKey, Series] = {}

    def add(self, events: Sequence[RawEvent]) -> Sequence[RawEvent]:
        """Count events, and return those to keep, with their weights, in their order.

        What is folded at once mostly happened within one second.
        """
        if not events or int(events[0][0]) == int(events[-1][0]):
            return self._add(events)
        seconds = groupby(events, key=lambda event: int(event[0]))
        return [event for _, of_one in seconds for event in self._add(list(of_one))]

    def _add(self, events: Sequence[RawEvent]) -> Sequence[RawEvent]:
        """The same for events of one second.

        Grouped by key first, for what is done once a group is not paid once an event: half the price.
        """
        try:
            groups = _grouped(events)
        except TypeError:  # a name that cannot be hashed
            return [kept for event in events for kept in self._add_one(event)]
        kept: dict[int, RawEvent] = {}
        judged: set[int] = set()  # those of which only what is in kept goes on
        for key, group in groups.items():
            try:
                series = self._of(key)
                errors = series.add(group, int(group[0][0]))
            except MALFORMED:
                judged.update(map(id, group))
                kept.update((id(event), one) for event in group for one in self._add_one(event))
            else:
                if series.sampler is not None:
                    judged.update(map(id, group))
                    picked = series.sampler.keep(group, errors=errors > 0)
                    self.sampled_out += len(group) - len(picked)
                    kept.update((id(group[place]), event) for place, event in picked)
        if not judged:
            return events
        if len(judged) == len(events):
            return [kept[one] for one in map(id, events) if one in kept]
        return [
            kept.get(id(event), event) for event in events if id(event) not in judged or id(event) in kept
        ]

    def _add_one(self, event: RawEvent) -> Sequence[RawEvent]:
        """Count an event; itself if it is kept, else nothing."""
        try:
            series = self._of((event[1], event[4], event[2]))
            series.add((event,), int(event[0]))
        except MALFORMED:
            self.malformed += 1
            return ()
        if series.sampler is None:
            return (event,)
        picked = [kept for _, kept in series.sampler.keep((event,))]
        self.sampled_out += 1 - len(picked)
        return picked

    def _of(self, key: SeriesKey) -> Series:
        return self._series.get(key) or self._begin(key)

    def _begin(self, key: SeriesKey) -> Series:
        if not all(isinstance(name, str) for name in key):
            raise TypeError("a type, function or direction is no text")
        if len(self._series) >= 2 * MAX_SERIES:
            key = (OTHER, OTHER, OTHER)
        elif len(self._series) >= MAX_SERIES:
            key = (key[0], OTHER, key[2])
        connection_type, function_name, direction = key
        sampler = self._sampling.sampler(connection_type, direction, function_name)
        return self._series.setdefault(key, Series(direction, sampler))

    def by_type(self, active: Mapping[str, int]) -> dict[str, TypeStats]:
        """Statistics of every type seen; ``active`` holds the open connections."""
        groups: dict[str, list[tuple[str, Series]]] = {name: [] for name in active}
        for (connection_type, _, direction), series in self._series.items():
            groups.setdefault(connection_type, []).append((direction, series))
        return {name: _type_stats(group, active.get(name, 0)) for name, group in sorted(groups.items())}

    def by_series(self) -> list[SeriesStats]:
        """Statistics of every series, sorted by its key."""
        return [
            _series_stats(key, series) for key, series in sorted(self._series.items(), key=lambda s: s[0])
        ]

    def now_by_type(self, active: Mapping[str, int], now: float) -> dict[str, TypeNow]:
        """The same with what happened lately, at ``now``."""
        windows: dict[str, list[Window]] = {}
        for (connection_type, _, _), series in self._series.items():
            windows.setdefault(connection_type, []).append(series.window)
        return {
            name: TypeNow(total, recent(windows.get(name, ()), now))
            for name, total in self.by_type(active).items()
        }

    def now_by_series(self, now: float, busiest: int | None) -> list[SeriesNow]:
        """The series with the most events first, at most ``busiest``, with what happened lately."""
        ordered = sorted(self._series.items(), key=lambda item: (-item[1].count, item[0]))
        return [
            SeriesNow(_series_stats(key, series), recent((series.window,), now))
            for key, series in ordered[:busiest]
        ]

    def durations_ms(self, connection_type: str, direction: str | None = None) -> Histogram:
        """Response times of a type, over its functions, as one new histogram."""
        merged = Histogram()
        for (type_, _, direction_), series in self._series.items():
            if type_ == connection_type and direction in (None, direction_):
                merged.merge(series.durations_ms)
        return merged


def _grouped(events: Iterable[RawEvent]) -> dict[SeriesKey, list[RawEvent]]:
    groups: defaultdict[SeriesKey, list[RawEvent]] = defaultdict(list)
    for event in events:
        groups[event[1], event[4], event[2]].append(event)
    return groups


def _type_stats(group: Iterable[tuple[str, Series]], active: int) -> TypeStats:
    group = list(group)
    timed = sum(series.durations_ms.count for _, series in group)
    total_ms = sum(series.durations_ms.sum for _, series in group)
    return TypeStats(
        total_events=sum(series.count for _, series in group),
        total_sent_bytes=sum(series.data_size_bytes for direction, series in group if direction == "send"),
        total_received_bytes=sum(
            series.data_size_bytes for direction, series in group if direction == "receive"
        ),
        total_errors=sum(series.errors for _, series in group),
        avg_response_time_ms=total_ms / timed if timed else None,
        last_event_timestamp=max((series.last_timestamp for _, series in group), default=None),
        active_connections=active,
    )


def _series_stats(key: SeriesKey, series: Series) -> SeriesStats:
    p50, p95, p99 = series.durations_ms.percentiles((50, 95, 99))
    return SeriesStats(
        connection_type=key[0],
        function_name=key[1],
        direction=key[2],
        count=series.count,
        data_size_bytes=series.data_size_bytes,
        errors=series.errors,
        timed=series.durations_ms.count,
        total_ms=series.durations_ms.sum,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        last_event_timestamp=series.last_timestamp,
    )
