"""What a running tool may use: the daemon's side of ``ToolContext``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from exai_ops.daemon.call import Call
from exai_ops.daemon.events import RecordEvent, permit
from exai_ops.daemon.metrics import Metrics
from exai_ops.daemon.permits import Hold
from exai_ops.providers.router import Providers
from exai_ops.providers.types import ChatRequest, Completion, ModelInfo
from exai_ops.settings import Settings
from exai_ops.storage.contract import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the calls of one daemon share."""

    settings: Settings
    storage: Storage
    providers: Providers
    metrics: Metrics
    status: Callable[[], dict[str, Any]]
    record: RecordEvent


class CallContext:
    """One call's context."""

    __slots__ = ("_call", "_hold", "_services", "writes")

    def __init__(self, services: Services, call: Call, hold: Hold | None) -> None:
        self._services = services
        self._call = call
        self._hold = hold
        self.writes: list[Awaitable[None]] = []

    @property
    def session_id(self) -> str:
        """The session that called."""
        return self._call.session_id

    @property
    def request_id(self) -> str:
        """The call's id within its session."""
        return self._call.request_id

    @property
    def settings(self) -> Settings:
        """The daemon's settings."""
        return self._services.settings

    @property
    def storage(self) -> Storage:
        """The daemon's store."""
        return self._services.storage

    async def complete(self, request: ChatRequest, *, stream: bool = True) -> Completion:
        """Ask a provider, with its permit held. See ``ToolContext.complete``."""
        on_delta = self._call.delta if stream and self._call.streaming else None
        completion = await self._services.providers.complete(
            request, on_delta=on_delta, enter=self._enter, origin=self._call.origin
        )
        self._services.metrics.completed(completion)
        return completion

    async def _enter(self, provider: str) -> None:
        if self._hold is not None:
            waited_s = await self._hold.use(provider)
            if waited_s:
                permit(self._services.record, "switch", self._call, provider, waited_s)

    async def emit(self, text: str) -> None:
        """Send a piece of text to a client that asked for a stream."""
        if self._call.streaming:
            await self._call.delta(text)

    def defer(self, write: Awaitable[None]) -> None:
        """A write that must be durable before the answer goes out."""
        self.writes.append(write)

    def models(self) -> Sequence[ModelInfo]:
        """The models that can be asked for now."""
        return self._services.providers.models()

    def resolve(self, model: str | None) -> ModelInfo:
        """The model that a completion would ask first."""
        return self._services.providers.resolve(model)

    def status(self) -> dict[str, Any]:
        """The daemon's state."""
        return self._services.status()
