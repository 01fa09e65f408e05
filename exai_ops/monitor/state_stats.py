"""The rows of ``stats`` from what a daemon has counted, as its ``State`` tells: exact, since its start."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from exai_ops.monitor.aggregates import TypeStats
from exai_ops.monitor.stats import UNKNOWN, Counted, Key, Percentiles, Row, added
from exai_ops.monitor.wire import Filter, Rates, State, TypeState


def countable(wanted: Filter) -> bool:
    """Whether a daemon's counts can tell of what fits the filter: it names keys alone."""
    return wanted == Filter(types=wanted.types, directions=wanted.directions, functions=wanted.functions)


def rows_of(state: State, by: Sequence[str], wanted: Filter) -> list[Row]:
    """Rows of what a daemon has counted since its start; the filter must be ``countable``.

    Rows that join several series have no percentiles. A daemon tells of its busiest series alone: see
    ``untold``.
    """
    if by_type_alone(by, wanted):
        named = ((name, one) for name, one in state.types.items() if not wanted.types or name in wanted.types)
        return [_of_type(name, one) for name, one in sorted(named)]
    groups: dict[Key, list[Mapping[str, Any]]] = {}
    for one in _fitting(state.functions, wanted):
        names = {
            "type": one["connection_type"],
            "function": one["function_name"],
            "direction": one["direction"],
        }
        groups.setdefault(tuple(names[name] for name in by), []).append(one)
    return [_of_series(key, group) for key, group in sorted(groups.items())]


def by_type_alone(by: Sequence[str], wanted: Filter) -> bool:
    """Whether rows are whole types."""
    return tuple(by) == ("type",) and not wanted.directions and not wanted.functions


def untold(state: State) -> int:
    """Events of the series that a state leaves out."""
    counted = sum(one.total_events for one in state.types.values())
    return max(0, counted - sum(int(one["count"]) for one in state.functions))


def summary_of(state: State) -> dict[str, TypeStats]:
    """A daemon's statistics by type, as an export has them."""
    return {
        name: TypeStats(**{key: getattr(one, key) for key in TypeStats.__slots__})
        for name, one in sorted(state.types.items())
    }


def with_lately(rows: Iterable[Row], last_minute: Counted) -> list[Row]:
    """Rows without percentiles of the last minute with those of its events."""
    known = {row.key: row.whole for row in last_minute.rows()}
    return [replace(row, lately=known.get(row.key, UNKNOWN)) for row in rows]


def _fitting(series: Iterable[Mapping[str, Any]], wanted: Filter) -> Iterable[Mapping[str, Any]]:
    asked: list[tuple[str, Collection[str]]] = [
        ("connection_type", wanted.types),
        ("direction", wanted.directions),
        ("function_name", wanted.functions),
    ]
    return [one for one in series if all(not names or one[key] in names for key, names in asked)]


def _of_type(name: str, one: TypeState) -> Row:
    return Row(
        key=(name,),
        events=one.total_events,
        errors=one.total_errors,
        sent_bytes=one.total_sent_bytes,
        received_bytes=one.total_received_bytes,
        mean_ms=one.avg_response_time_ms,
        last_event_timestamp=one.last_event_timestamp,
        active=one.active_connections,
        rates=one.rates,
        lately=Percentiles(one.p50_ms, one.p95_ms, one.p99_ms),
    )


def _of_series(key: Key, group: Sequence[Mapping[str, Any]]) -> Row:
    timed = sum(one["timed"] for one in group)
    alone = group[0] if len(group) == 1 else None
    return Row(
        key=key,
        events=sum(one["count"] for one in group),
        errors=sum(one["errors"] for one in group),
        sent_bytes=_bytes(group, "send"),
        received_bytes=_bytes(group, "receive"),
        mean_ms=sum(one["total_ms"] for one in group) / timed if timed else None,
        last_event_timestamp=max(one["last_event_timestamp"] for one in group),
        rates=added(Rates(**one["recent"]["rates"]) for one in group),
        whole=UNKNOWN if alone is None else _percentiles(alone),
        lately=UNKNOWN if alone is None else _percentiles(alone["recent"]),
    )


def _bytes(group: Iterable[Mapping[str, Any]], direction: str) -> int:
    return sum(int(one["data_size_bytes"]) for one in group if one["direction"] == direction)


def _percentiles(told: Mapping[str, Any]) -> Percentiles:
    return Percentiles(told["p50_ms"], told["p95_ms"], told["p99_ms"])
