"""What the alert rules look at, read off the daemon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from exai_ops.monitor.aggregates import TypeNow
from exai_ops.monitor.alerts import Reading

if TYPE_CHECKING:
    from exai_ops.daemon.core import Daemon

LEAST_EVENTS: Final = 20
"""With fewer in a minute, one failure or one slow event is no rate and no percentile."""


def readings(daemon: Daemon) -> dict[str, Reading | None]:
    """Every signal by ``Rule.key``; None where it cannot be told now. Asks nobody."""
    types = daemon.monitor.by_type()
    errors = {name: _error_rate(now) for name, now in types.items()}
    slow = {name: _p95(now) for name, now in types.items()}
    found: dict[str, Reading | None] = {}
    for signal, by_type in (("error_rate", errors), ("p95", slow)):
        found[signal] = _worst(by_type)
        for name, value in by_type.items():
            found[f"{signal}:{name}"] = None if value is None else Reading(value=value)
    found["leaks"] = _leaks(daemon)
    found["breaker_open"] = _count(
        state.name for state in daemon.providers.states() if state.breaker == "open"
    )
    found["at_limit"] = _count(
        name for name, row in daemon.ledger.usage().items() if row["limit"] and not row["free"]
    )
    lag_ms = daemon.loop_lag_ms()
    found["loop_lag"] = None if lag_ms is None else Reading(value=lag_ms)
    return found


def _error_rate(now: TypeNow) -> float | None:
    rates = now.recent.rates
    return rates.errors_60s / rates.events_60s if rates.events_60s * 60 >= LEAST_EVENTS else None


def _p95(now: TypeNow) -> float | None:
    return now.recent.p95_ms if now.recent.timed >= LEAST_EVENTS else None


def _worst(by_type: Mapping[str, float | None]) -> Reading | None:
    known = {name: value for name, value in by_type.items() if value is not None}
    if not known:
        return None
    worst = max(known, key=known.__getitem__)
    return Reading(value=known[worst], detail=worst)


def _count(names: Iterable[str]) -> Reading:
    found = list(names)
    return Reading(value=len(found), detail=", ".join(found))


def _leaks(daemon: Daemon) -> Reading:
    leaks = daemon.ledger.leaks()
    shown = ", ".join(f"{entry.owner.tool}: {reason}" for entry, reason in leaks[:3])
    return Reading(value=len(leaks), detail=shown + (", …" if len(leaks) > 3 else ""))
