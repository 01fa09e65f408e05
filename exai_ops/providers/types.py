"""Values that go to a provider and come back, alike for every dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant"]
OnDelta: TypeAlias = Callable[[str], Awaitable[None]]
"""Called with each piece of answer text, in order, as it arrives."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One completion to ask for.

    Attributes:
        messages: In order, the system message first if there is one.
        model: None leaves the choice to the router, and allows failover.
        temperature: 0 to 2, None for the provider's default.
        max_tokens: Upper bound of the answer in tokens, None for the provider's default.
        thinking: Ask for the model's thinking where it can be asked for; None leaves it to the model.
        web_search: Let the provider search the web.
        json_object: Ask for a JSON object as the answer.
        fault: Fault asked of the simulator; a real provider is never sent it.
    """

    messages: tuple[Message, ...]
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    thinking: bool | None = None
    web_search: bool = False
    json_object: bool = False
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens, as the provider counted them; 0 where it did not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One finished answer.

    Attributes:
        text: The whole answer, also when it was streamed.
        reasoning: The model's thinking when the provider gave it, else empty.
        provider: ``kimi``, ``glm`` or ``simulator``.
        model: The model that answered.
        finish_reason: ``stop``, ``length`` and what else the provider says.
        attempts: HTTP requests made for it, over all providers.
        first_token_s: Seconds from the request to the first piece of text; for an unstreamed answer
            the whole duration.
        duration_s: Seconds from the request to the end.
        failed_over_from: The provider that was tried first and was down, or None.
        simulated: True when the simulator answered in the provider's name.
    """

    text: str
    provider: str
    model: str
    reasoning: str = ""
    finish_reason: str = "stop"
    usage: Usage = field(default_factory=Usage)
    attempts: int = 1
    first_token_s: float = 0.0
    duration_s: float = 0.0
    failed_over_from: str | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """One model that can be asked for.

    Attributes:
        context_tokens: Window of prompt and answer together, in tokens.
        simulated: True when the simulator answers in its name.
    """

    name: str
    provider: str
    context_tokens: int
    thinking: bool = False
    vision: bool = False
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderState:
    """What is known of a provider without asking it.

    Attributes:
        configured: Whether it has a key.
        breaker: ``closed``, ``open`` or ``half_open``.
        last_error: One line, or None; never holds a key.
        last_ok_at: Seconds since the epoch of its last good answer, or None.
        key_refused: Whether it refused the key, and has given no good answer since.
    """

    name: str
    configured: bool
    base_url: str
    breaker: Literal["closed", "open", "half_open"]
    consecutive_failures: int = 0
    last_error: str | None = None
    last_ok_at: float | None = None
    simulated: bool = False
    key_refused: bool = False

    @property
    def unusable(self) -> str | None:
        """Why a call would fail now, as far as is known unasked, or None; never in the provider's words."""
        if not self.configured:
            return "no key"
        if self.key_refused:
            return "the key was refused"
        return "the breaker is open" if self.breaker == "open" else None

    def as_dict(self) -> dict[str, Any]:
        """As shown in health and status."""
        return {name: getattr(self, name) for name in self.__slots__}
