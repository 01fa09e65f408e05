"""The daemon's parts and what it knows of itself; no socket, no signal.

``Daemon`` is what connections, HTTP and MCP talk to: who may come in, which sessions there are, and the
one honest account of its state.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec

import exai_ops
from exai_ops import logs
from exai_ops.daemon import protocol
from exai_ops.daemon.alerting import Alerting, channels_of, rules_of
from exai_ops.daemon.call import Sink
from exai_ops.daemon.context import Services
from exai_ops.daemon.dispatch import Dispatcher
from exai_ops.daemon.event_backlog import KeptEvents
from exai_ops.daemon.event_keeper import EventKeeper
from exai_ops.daemon.metrics import Metrics
from exai_ops.daemon.permits import Ledger, Limits
from exai_ops.daemon.sessions import Connection, Session, Sessions
from exai_ops.daemon.status import holder_rows, human_duration
from exai_ops.errors import StorageError
from exai_ops.monitor.looplag import LoopLag
from exai_ops.monitor.recorder import Monitor
from exai_ops.providers.router import Providers
from exai_ops.settings import BadValue, Settings, secret_of
from exai_ops.storage.contract import Storage
from exai_ops.tools.registry import Registry

State: TypeAlias = Literal["starting", "ready", "draining"]


class LiveConnection(Connection, Protocol):
    """A connection as the daemon's housekeeping sees it."""

    blocked_since: float | None

    @property
    def unsent(self) -> bool:
        """Whether frames wait that nobody is writing."""

    def abort(self, why: str) -> None:
        """Drop it at once."""

    async def flush(self) -> None:
        """Write what is left to write."""


class Daemon:
    """The parts of one daemon.

    Attributes:
        id: Identity of this process's life, in the journal.
        started_at: Seconds since the epoch.
        kept: The events on disk, None where none are kept; ``keeper`` writes them.
        closers: Awaited once the calls are done, before the server ends; each for at most two seconds.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        storage: Storage,
        providers: Providers,
        registry: Registry,
        monitor: Monitor,
        simulated: bool,
    ) -> None:
        self.id: Final = uuid.uuid4().hex
        self.settings = settings
        self.storage = storage
        self.providers = providers
        self.monitor = monitor
        self.simulated = simulated
        self.state: State = "starting"
        self.started_at = time.time()
        self.token = settings.ws_token
        self.metrics = Metrics(model.name for model in providers.models())
        self.lag = LoopLag()
        self.ledger = Ledger(limits(settings))
        self.sessions = Sessions(storage)
        self.connections: set[LiveConnection] = set()
        self.leaking: dict[int, str] = {}
        self.kept: KeptEvents | None = None
        self.keeper: EventKeeper | None = None
        self.alerting = Alerting(self, rules_of(settings), channels_of(settings))
        self.closers: list[Callable[[], Awaitable[None]]] = []
        self.tools_frame = protocol.encode({"op": "list_tools_res", "tools": registry.describe()})
        services = Services(
            settings=settings,
            storage=storage,
            providers=providers,
            metrics=self.metrics,
            status=self.status,
            record=monitor.record,
        )
        self.dispatcher = Dispatcher(
            services=services,
            ledger=self.ledger,
            registry=registry,
            daemon_id=self.id,
        )

    # --- coming and going -------------------------------------------------------------------

    def admit(self, connection: LiveConnection) -> tuple[int, str] | None:
        """Count a connection in; the close code and reason when there is no place for it."""
        if self.state == "draining":
            return protocol.CLOSE_RESTARTING, "the daemon is stopping"
        if len(self.connections) >= self.settings.max_connections:
            self.rejected("too many connections")
            return protocol.CLOSE_POLICY, "too many connections"
        self.connections.add(connection)
        return None

    def authorized(self, token: str | None) -> bool:
        """Whether a token is the daemon's, compared in constant time; anything is when there is none."""
        return not self.token or self.token.matches(token or "")

    async def enter(self, connection: LiveConnection, hello: protocol.Hello) -> Session | protocol.Refused:
        """Answer a hello: the session it opens or takes up again, or the refusal."""
        if not self.authorized(hello.token):
            frame = protocol.hello_refused("unauthorized")
            return protocol.Refused(frame, protocol.CLOSE_UNAUTHORIZED, "unauthorized")
        if hello.resume is not None and hello.session_id:
            return await self._resume(connection, hello.session_id, hello.resume)
        session, secret = await self.sessions.open(time.time(), resumable="resume" in hello.features)
        session.connection = connection
        await connection.send(protocol.hello_ack(session.id, secret))
        return session

    async def _resume(
        self, connection: LiveConnection, session_id: str, secret: str
    ) -> Session | protocol.Refused:
        try:
            session = await self.sessions.resume(session_id, secret)
        except StorageError as error:
            frame = protocol.hello_refused("unavailable", f"sessions cannot be looked up now: {error}")
            return protocol.Refused(frame, protocol.CLOSE_RESTARTING, "store unavailable")
        if session is None:
            message = "unknown session or wrong resume secret; say hello without resume to open a new session"
            frame = protocol.hello_refused("unauthorized", message)
            return protocol.Refused(frame, protocol.CLOSE_UNAUTHORIZED, "resume refused")
        before, session.connection, session.idle_since = session.connection, connection, None
        if before is not None:
            for call in session.calls.values():
                call.unwatch(before)
            # Not waited for: what was replaced is often a connection that takes nothing any more.
            why = "the session was taken up by another connection"
            self.dispatcher.spawn(before.close(protocol.CLOSE_REPLACED, why))
        await connection.send(protocol.hello_ack(session.id, None))
        await self.dispatcher.attach_all(session, connection)
        return session

    def left(self, session: Session, connection: Sink) -> None:
        """A session's connection is gone."""
        self.dispatcher.client_left(session, connection)
        if session.connection is connection:
            session.connection = None
            session.idle_since = time.time()
        self.sessions.drop_if_unreachable(session)

    def rotate(self, message: protocol.RotateToken) -> str:
        """Replace the token for every later hello; sessions that are in stay in."""
        answer: dict[str, Any] = {"op": "rotate_token_res", "ok": False}
        if not message.old or not message.new:
            return protocol.encode(answer | {"error": "missing_params"})
        if not self.token or not self.token.matches(message.old):
            self.rejected("token rotation refused")
            return protocol.encode(answer | {"error": "unauthorized"})
        try:
            token = secret_of(message.new)
        except BadValue as error:
            return protocol.encode(answer | {"error": "invalid_params", "message": f"new: {error}"})
        logs.hide(message.new)
        self.token = token
        self.monitor.record("websocket", "receive", script_name="daemon", function_name="token_rotated")
        return protocol.encode(answer | {"ok": True})

    def received(self, op: str, size: int, origin: Mapping[str, str] | None = None) -> None:
        """A message has come in; ``origin`` names its session, request and tool."""
        self.monitor.record(
            "websocket",
            "receive",
            script_name="daemon",
            function_name=op,
            data_size_bytes=size,
            metadata=origin,
        )

    def rejected(self, reason: str) -> None:
        """A connection or a request was not let in."""
        self.metrics.refused.labels(reason).inc()
        self.monitor.record("websocket", "reject", script_name="daemon", function_name="guard", error=reason)

    # --- what is known ----------------------------------------------------------------------

    def brief(self) -> dict[str, Any]:
        """What the ``health`` op answers, from memory alone."""
        now = time.time()
        return {
            "t": now,
            "uptime_human": human_duration(now - self.started_at),
            "sessions": self.sessions.connected,
            "sessions_resumable": len(self.sessions) - self.sessions.connected,
            "global_capacity": self.settings.global_max_inflight,
            "tool_count": len(self.dispatcher.registry.describe()),
            "inflight": self.ledger.held,
            "queued": self.ledger.waiting,
            "state": self.state,
            "version": exai_ops.__version__,
            "simulated": self.simulated,
        }

    def loop_lag_ms(self) -> float | None:
        """The event loop's worst lag of the last minute, None before it was measured."""
        worst_s = self.lag.stats().max_60s_s
        return None if worst_s is None else round(worst_s * 1000, 3)

    def permits(self) -> dict[str, Any]:
        """The ledger: limits, queue, sessions, holders, leaks, and whether the invariant holds."""
        return {
            "limits": self.ledger.usage(),
            "session_limit": self.settings.session_max_inflight,
            "waiting": self.ledger.waiting,
            "queue_limit": self.settings.queue_max,
            "waiting_bytes": self.ledger.waiting_bytes,
            "queue_limit_bytes": self.settings.queue_max_bytes,
            "sessions": self.ledger.sessions(),
            "holders": holder_rows(self.ledger),
            "leaked": len(self.ledger.leaks()),
            "broken": self.ledger.broken(),
        }

    def status(self) -> dict[str, Any]:
        """Everything that is known without asking anybody."""
        return {
            **self.brief(),
            "pid": os.getpid(),
            "started_at": self.started_at,
            "connections": len(self.connections),
            "permits": self.permits(),
            "providers": [state.as_dict() for state in self.providers.states()],
            "storage": self.storage.name,
            "loop_lag_ms": self.loop_lag_ms(),
            "events": self.monitor.sequence,
            "alerts": [msgspec.structs.asdict(one) for one in self.alerting.states()],
            "event_store": None if self.keeper is None else self.keeper.as_dict(),
            "tool_problems": [str(problem) for problem in self.dispatcher.registry.problems],
        }

    def unready(self) -> str | None:
        """Why no call should be sent here now, or None."""
        if self.state != "ready":
            return self.state
        why = self.no_provider()
        return None if why is None else f"no usable provider: {why}"

    def no_provider(self) -> str | None:
        """Why no provider can answer now, or None; told from past calls, so that asking costs none."""
        whys = {state.name: state.unusable for state in self.providers.states()}
        if None in whys.values():
            return None
        return ", ".join(f"{name}: {why}" for name, why in whys.items())


def limits(settings: Settings) -> Limits:
    """The ledger's limits from the settings."""
    return Limits(
        total=settings.global_max_inflight,
        providers={"kimi": settings.kimi_max_inflight, "glm": settings.glm_max_inflight},
        session=settings.session_max_inflight,
        queue=settings.queue_max,
        queue_bytes=settings.queue_max_bytes,
        wait_s=settings.queue_wait_s,
        hold_s=settings.inflight_ttl_s,
        retry_after_s=settings.retry_after_s,
    )
