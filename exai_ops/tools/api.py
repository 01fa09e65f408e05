"""What a tool is, gets and gives back.

A tool is a typed async function whose first parameter is the context::

    @tool(description="Says hello.")
    async def hello(ctx: ToolContext, *, name: Annotated[str, "who to greet"]) -> ToolResult:
        return ToolResult(text=f"hello {name}")

It is offered under the entry point group ``exai_ops.tools``.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exai_ops.providers.types import ChatRequest, Completion, ModelInfo
    from exai_ops.settings import Settings
    from exai_ops.storage.contract import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool answers.

    Attributes:
        text: For a person; the whole answer, also when it was streamed.
        structured: The same as data, or None; JSON values only.
        metadata: Beside the answer: continuation_id, turns_remaining, model, usage; JSON values only.
    """

    text: str
    structured: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class ToolContext(Protocol):
    """What a tool may use while it runs."""

    @property
    def session_id(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def storage(self) -> Storage: ...

    async def complete(self, request: ChatRequest, *, stream: bool = True) -> Completion:
        """Ask a provider, holding its permit, with failover when ``request.model`` is None.

        ``stream=False`` keeps the pieces from a client that asked for a stream (for a tool whose
        answer is not the model's text). Raises ProviderError, OverCapacity.
        """

    def defer(self, write: Awaitable[None]) -> None:
        """A write that must be durable before the answer goes out; the daemon awaits it."""

    def models(self) -> Sequence[ModelInfo]:
        """The models that can be asked for now."""

    def resolve(self, model: str | None) -> ModelInfo:
        """The model that a completion would ask first. Raises ModelNotFound."""

    def status(self) -> dict[str, Any]:
        """The daemon's state: sessions, permits, queue, providers, storage, uptime."""
