"""GLM (Z.ai, BigModel): its requests, answers and refusals.

Source: docs.z.ai, "Chat Completion" and "Error Codes"; docs.bigmodel.cn lists more of the codes. The
inner code decides, not the HTTP status: 429 also means that the account has no balance.
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

_WEB_SEARCH: Final = {"type": "web_search", "web_search": {"enable": True, "search_result": True}}
_THINKING: Final = {True: {"type": "enabled"}, False: {"type": "disabled"}}
_BY_CODE: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(
        ("1000", "1001", "1002", "1003", "1004", "1110", "1111", "1112", "1121", "1220"), ProviderAuthError
    ),
    **dict.fromkeys(("1113", "1304", "1308", "1309", "1310", "1311"), ProviderQuotaExhausted),
    **dict.fromkeys(("1302", "1303", "1305", "1312", "1313"), ProviderRateLimited),
    **dict.fromkeys(
        ("1210", "1212", "1213", "1214", "1215", "1231", "1261", "1300", "1301"), ProviderRejected
    ),
    **dict.fromkeys(("1120", "1230", "1234", "500"), ProviderUnavailable),
    "1211": ModelNotFound,
}


class Glm:
    """The dialect, with the key that it sends and keeps out of every message."""

    name = "glm"
    key_variable = "GLM_API_KEY"
    url_variable = "GLM_API_URL"
    path = "/chat/completions"

    def __init__(self, key: Secret) -> None:
        self._key = key

    def headers(self) -> dict[str, str]:
        """The headers of each request, the key among them."""
        return {
            "Authorization": f"Bearer {self._key.reveal()}",
            "Content-Type": "application/json",
            "Accept-Language": "en-US,en",  # else messages come in Chinese
        }

    def body(
        self, request: ChatRequest, model: str, *, stream: bool, extra: tuple[dict[str, Any], ...] = ()
    ) -> bytes:
        """The request as JSON. Raises ProviderRejected."""
        body = wire.request_body(request, model, stream=stream, extra=extra)
        if request.thinking is not None:
            body["thinking"] = _THINKING[request.thinking]
        if request.web_search:
            body["tools"] = [_WEB_SEARCH]
        return wire.encode(body, self.name)

    def answer(self, body: bytes) -> wire.Piece:
        """The answer in an unstreamed body. Raises ProviderError."""
        try:
            piece = wire.read_answer(body)
        except wire.WireError as error:
            raise self._no_completion(error, body) from None
        return self._whole(piece)

    def piece(self, data: bytes) -> wire.Piece:
        """What one event of a stream adds. Raises ProviderError."""
        try:
            piece = wire.read_event(data)
        except wire.WireError as error:
            raise self._no_completion(error, data) from None
        return self._whole(piece)

    def follow_up(self, text: str, reasoning: str, calls: list[wire.ToolCall]) -> tuple[dict[str, Any], ...]:
        """Nothing: GLM searches by itself."""
        del text, reasoning, calls
        return ()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """What an answer that is no completion means."""
        said = complaint.read(headers, body, self._key)
        kind = _BY_CODE.get(said.code or "") or kind_by_status(status)
        return judge(
            self.name, status, said, kind, key_variable=self.key_variable, url_variable=self.url_variable
        )

    def _whole(self, piece: wire.Piece) -> wire.Piece:
        if piece.finish_reason == "network_error":
            raise ProviderUnavailable(
                "glm broke off: network_error between its own machines", provider=self.name, status=200
            )
        return piece

    def _no_completion(self, error: wire.WireError, body: bytes) -> ProviderError:
        if error.refused:
            return self.failure(200, {}, body)
        return ProviderUnavailable(f"glm sent a malformed answer: {error}", provider=self.name, status=200)
