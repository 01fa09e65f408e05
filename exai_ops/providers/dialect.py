"""What the client asks of a dialect: how to say a request, and how to read what comes back. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from exai_ops.errors import ProviderError
from exai_ops.providers.types import ChatRequest
from exai_ops.providers.wire import Piece, ToolCall

MAX_ROUNDS = 5
"""Requests of one completion in which the model may search before it has to answer."""


class Dialect(Protocol):
    """One provider's way of speaking.

    Attributes:
        name: ``kimi`` or ``glm``.
        key_variable: The variable that holds its key.
        url_variable: The variable that holds its base URL.
        path: Of chat completions, below the base URL.
    """

    name: str
    key_variable: str
    url_variable: str
    path: str

    def headers(self) -> dict[str, str]:
        """The headers of each request, the key among them."""

    def body(
        self, request: ChatRequest, model: str, *, stream: bool, extra: tuple[dict[str, Any], ...] = ()
    ) -> bytes:
        """The request as JSON; ``extra`` is what ``follow_up`` gave. Raises ProviderRejected."""

    def answer(self, body: bytes) -> Piece:
        """The answer in an unstreamed body. Raises ProviderError."""

    def piece(self, data: bytes) -> Piece:
        """What one event of a stream adds. Raises ProviderError."""

    def follow_up(self, text: str, reasoning: str, calls: list[ToolCall]) -> tuple[dict[str, Any], ...]:
        """Messages that must be sent back before the model answers; empty when it has answered."""

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """What an answer that is no completion means."""
