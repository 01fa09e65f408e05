"""What a tool is, gets and gives back.

A tool is a typed async function whose first parameter is the context::

    @tool(description="Says hello.", needs_provider=False)
    async def hello(ctx: ToolContext, *, name: Annotated[str, "who to greet"]) -> ToolResult:
        return ToolResult(text=f"hello {name}")

It is offered under the entry point group ``exai_ops.tools``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from exai_ops.tools.schema import Arguments, Param

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exai_ops.providers.types import ChatRequest, Completion, ModelInfo
    from exai_ops.settings import Settings
    from exai_ops.storage.contract import Storage

__all__ = ["Param", "Tool", "ToolContext", "ToolFunction", "ToolResult", "tool"]


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

    async def emit(self, text: str) -> None:
        """Send a piece of the answer's text to a client that asked for a stream; nothing for others.

        The text of the result must hold the piece too, at its place.
        """

    def defer(self, write: Awaitable[None]) -> None:
        """A write that must be durable before the answer goes out; the daemon awaits it."""

    def models(self) -> Sequence[ModelInfo]:
        """The models that can be asked for now."""

    def resolve(self, model: str | None) -> ModelInfo:
        """The model that a completion would ask first. Raises ModelNotFound."""

    def status(self) -> dict[str, Any]:
        """The daemon's state: sessions, permits, queue, providers, storage, uptime."""


ToolFunction: TypeAlias = Callable[..., Awaitable[ToolResult | str]]


class Tool(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A tool as it is served.

    Attributes:
        name: What a call names, at most 64 of ``A-Z a-z 0-9 _ -``.
        input_schema: JSON schema of its arguments, an object without ``$ref`` at the top.
        needs_provider: Whether it asks a model; its call then takes a permit of that provider too.
        needs_permit: False for a tool that answers at once from memory, so that it answers also when
            every permit is held.
        model_argument: The argument that names the model, or None when there is none.
        function: What it does; called with the context and every parameter by name.
    """

    name: str
    description: str
    input_schema: dict[str, Any]
    needs_provider: bool
    needs_permit: bool
    model_argument: str | None
    function: ToolFunction
    arguments: Arguments

    async def run(self, ctx: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
        """Check the arguments and run it. Raises InvalidArguments before anything is done."""
        result = await self.function(ctx, **self.arguments.convert(arguments))
        return ToolResult(text=result) if isinstance(result, str) else result


def tool(
    *,
    description: str,
    needs_provider: bool = True,
    needs_permit: bool = True,
    model_argument: str | None = None,
) -> Callable[[ToolFunction], Tool]:
    """Make a tool of a typed async function; its name is the function's.

    ``model_argument`` defaults to ``model`` where a tool that needs a provider has such a parameter.
    Raises TypeError for a signature of which no schema can be made.
    """

    def make(function: ToolFunction) -> Tool:
        arguments = Arguments(function)
        named = model_argument
        if named is None and needs_provider and "model" in arguments.schema["properties"]:
            named = "model"
        return Tool(
            name=function.__name__,
            description=description,
            input_schema=arguments.schema,
            needs_provider=needs_provider,
            needs_permit=needs_permit,
            model_argument=named,
            function=function,
            arguments=arguments,
        )

    return make
