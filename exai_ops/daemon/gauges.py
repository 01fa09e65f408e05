"""What Prometheus reads off the daemon at each scrape."""

from __future__ import annotations

from collections.abc import Iterator

from exai_ops.daemon.core import Daemon


def register(daemon: Daemon) -> None:
    """Put the daemon's gauges into its metrics."""
    gauge, gauges, ledger = daemon.metrics.gauge, daemon.metrics.gauges, daemon.ledger
    gauge("exai_sessions", "Sessions, those that may be resumed included.", lambda: len(daemon.sessions))
    gauge("exai_connections", "WebSocket connections.", lambda: len(daemon.connections))
    gauge("exai_queue_waiting", "Calls that wait for a permit.", lambda: ledger.waiting)
    gauge("exai_queue_waiting_bytes", "Bytes that they hold.", lambda: ledger.waiting_bytes)
    gauge("exai_permits_leaked", "Permits whose holder cannot give them back.", lambda: len(ledger.leaks()))
    gauge("exai_event_loop_lag_seconds", "Worst lag of the last minute.", lambda: _lag_s(daemon))
    gauge("exai_ready", "Whether calls are served.", lambda: float(daemon.unready() is None))
    gauge("exai_simulated", "Whether the simulator answers.", lambda: float(daemon.simulated))
    gauges("exai_permits", "Permits by limit and state.", ["limit", "state"], lambda: _permits(daemon))
    gauges("exai_provider_breaker_open", "1 while it is open.", ["provider"], lambda: _breakers(daemon))
    gauges("exai_events_recorded", "Events by connection type.", ["type"], lambda: _events(daemon))


def _lag_s(daemon: Daemon) -> float:
    lag_ms = daemon.loop_lag_ms()
    return float("nan") if lag_ms is None else lag_ms / 1000


def _permits(daemon: Daemon) -> Iterator[tuple[list[str], float]]:
    for name, row in daemon.ledger.usage().items():
        for state, value in row.items():
            yield [name, state], value


def _breakers(daemon: Daemon) -> Iterator[tuple[list[str], float]]:
    for state in daemon.providers.states():
        yield [state.name], float(state.breaker == "open")


def _events(daemon: Daemon) -> Iterator[tuple[list[str], float]]:
    for name, stats in daemon.monitor.stats().items():
        yield [name], stats.total_events
