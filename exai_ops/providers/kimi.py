"""Kimi (Moonshot): its requests, answers and refusals.

Source: platform.moonshot.ai/docs, "Chat", "Web Search" and "Errors". Its web search is a tool that the
model calls and that the client answers with the arguments themselves, unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from exai_ops.errors import (
    ModelNotFound,
    ProviderAuthError,
    ProviderError,
    ProviderQuotaExhausted,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
)
from exai_ops.providers import complaint, wire
from exai_ops.providers.types import ChatRequest
from exai_ops.providers.verdict import Kind, judge, kind_by_status
from exai_ops.settings import Secret

_WEB_SEARCH: Final = {"type": "builtin_function", "function": {"name": "$web_search"}}
_BY_TYPE: Final[Mapping[str, Kind]] = {
    "invalid_authentication_error": ProviderAuthError,
    "incorrect_api_key_error": ProviderAuthError,
    "permission_denied_error": ProviderAuthError,
    "exceeded_current_quota_error": ProviderQuotaExhausted,
    "insufficient_balance": ProviderQuotaExhausted,
    "rate_limit_reached_error": ProviderRateLimited,
    "engine_overloaded_error": ProviderRateLimited,
    "resource_not_found_error": ModelNotFound,
    "content_filter": ProviderRejected,
    "server_error": ProviderUnavailable,
    "unexpected_output": ProviderUnavailable,
}

_NEVER_AGAIN: Final = frozenset({400, 401, 403})  # whatever type comes with them
_PASSING: Final = frozenset({ProviderRateLimited, ProviderUnavailable})


class Kimi:
    """The dialect, with the key that it sends and keeps out of every message."""

    name = "kimi"
    key_variable = "KIMI_API_KEY"
    url_variable = "KIMI_API_URL"
    path = "/chat/completions"

    def __init__(self, key: Secret) -> None:
        self._key = key

    def headers(self) -> dict[str, str]:
        """The headers of each request, the key among them."""
        return {"Authorization": f"Bearer {self._key.reveal()}", "Content-Type": "application/json"}

    def body(
        self, request: ChatRequest, model: str, *, stream: bool, extra: tuple[dict[str, Any], ...] = ()
    ) -> bytes:
        """The request as JSON. Raises ProviderRejected."""
        body = wire.request_body(request, model, stream=stream, extra=extra)
        if stream:
            body["stream_options"] = {"include_usage": True}
        if request.web_search:
            body["tools"] = [_WEB_SEARCH]
        return wire.encode(body, self.name)

    def answer(self, body: bytes) -> wire.Piece:
        """The answer in an unstreamed body. Raises ProviderError."""
        try:
            return wire.read_answer(body)
        except wire.WireError as error:
            raise self._no_completion(error, body) from None

    def piece(self, data: bytes) -> wire.Piece:
        """What one event of a stream adds. Raises ProviderError."""
        try:
            return wire.read_event(data)
        except wire.WireError as error:
            raise self._no_completion(error, data) from None

    def follow_up(self, text: str, reasoning: str, calls: list[wire.ToolCall]) -> tuple[dict[str, Any], ...]:
        """The model's searches and their results, to send back; empty when it called for none."""
        searches = [call for call in calls if call.name.startswith("$")]
        if not searches:
            return ()
        said: dict[str, Any] = {"role": "assistant", "content": text, "tool_calls": []}
        if reasoning:
            said["reasoning_content"] = reasoning
        for call in searches:
            function = {"name": call.name, "arguments": call.arguments}
            said["tool_calls"].append({"id": call.id, "type": "builtin_function", "function": function})
        return (said, *(_result(call) for call in searches))

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """What an answer that is no completion means."""
        said = complaint.read(headers, body, self._key)
        return judge(
            self.name,
            status,
            said,
            _kind(status, said.code),
            key_variable=self.key_variable,
            url_variable=self.url_variable,
        )

    def _no_completion(self, error: wire.WireError, body: bytes) -> ProviderError:
        if error.refused:
            return self.failure(200, {}, body)
        return ProviderUnavailable(f"kimi sent a malformed answer: {error}", provider=self.name, status=200)


def _kind(status: int, code: str | None) -> Kind:
    kind = _BY_TYPE.get(code or "")
    if status in _NEVER_AGAIN and (kind is None or kind in _PASSING):
        # Kimi says 403 for an account without balance.
        return ProviderQuotaExhausted if status == 403 else kind_by_status(status)
    if kind is None or (kind is ProviderRateLimited and status >= 500):
        return kind_by_status(status)
    return kind


def _result(call: wire.ToolCall) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": call.arguments}
