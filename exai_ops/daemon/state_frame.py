"""The daemon's state of one moment, as ``/events`` sends it to whoever watches."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import exai_ops
from exai_ops.monitor.aggregates import TypeNow
from exai_ops.monitor.looplag import LagStats
from exai_ops.monitor.wire import Lag, Rates, SessionState, State, TypeState

if TYPE_CHECKING:
    from exai_ops.daemon.core import Daemon

FUNCTIONS: Final = 50
SESSIONS: Final = 200
"""How many are shown: the busiest."""
ID_CHARS: Final = 8
"""Of a session's id: enough to tell it, too little to guess the rest."""


def state(daemon: Daemon, *, tails: int, dropped: int) -> State:
    """What an operator looks at. Asks nobody, and takes a few milliseconds."""
    monitor = daemon.monitor
    return State(
        time=time.time(),
        stream=daemon.id,
        sequence=monitor.sequence,
        version=exai_ops.__version__,
        started_at=daemon.started_at,
        state=daemon.state,
        unready=daemon.unready(),
        simulated=daemon.simulated,
        types={name: _type(now) for name, now in monitor.by_type().items()},
        functions=[one.as_dict() for one in monitor.by_series(FUNCTIONS)],
        permits=daemon.permits(),
        providers=[one.as_dict() for one in daemon.providers.states()],
        sessions=_sessions(daemon),
        connections=len(daemon.connections),
        lag=_lag(daemon.lag.stats()),
        malformed=monitor.malformed,
        sampled_out=monitor.sampled_out,
        tails=tails,
        dropped=dropped,
        stored_bytes=None if daemon.keeper is None else daemon.keeper.stored_bytes(),
        alerts=daemon.alerting.states(),
    )


def _type(now: TypeNow) -> TypeState:
    lately = now.recent
    return TypeState(
        **now.total.as_dict(),
        rates=Rates(**lately.rates.as_dict()),
        p50_ms=lately.p50_ms,
        p95_ms=lately.p95_ms,
        p99_ms=lately.p99_ms,
    )


def _sessions(daemon: Daemon) -> list[SessionState]:
    used, now = daemon.ledger.sessions(), time.time()
    nothing = {"held": 0, "queued": 0}
    shown = [
        SessionState(
            id=session.id[:ID_CHARS],
            connected=session.connection is not None,
            inflight=used.get(session.id, nothing)["held"],
            queued=used.get(session.id, nothing)["queued"],
            idle_s=None if session.idle_since is None else round(max(0.0, now - session.idle_since), 3),
        )
        for session in daemon.sessions
    ]
    shown.sort(key=lambda one: (one.inflight + one.queued, one.connected), reverse=True)
    return shown[:SESSIONS]


def _lag(stats: LagStats) -> Lag:
    return Lag(last_ms=_ms(stats.last_s), max_60s_ms=_ms(stats.max_60s_s), p99_ms=_ms(stats.p99_s))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
