"""Kimi and GLM: what is sent, what is read, what a refusal means. No network."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.errors import (
    ModelNotFound,
    ProviderAuthError,
    ProviderError,
    ProviderQuotaExhausted,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from exai_ops.providers.dialect import Dialect
from exai_ops.providers.glm import Glm
from exai_ops.providers.kimi import Kimi
from exai_ops.providers.resilience import is_retryable
from exai_ops.providers.types import ChatRequest, Message, Usage
from exai_ops.providers.wire import MOST_TOKENS, Piece, ToolCall, merge_tool_calls
from exai_ops.settings import Secret

KEY = Secret("sk-0123456789abcdef")
KIMI, GLM = Kimi(KEY), Glm(KEY)
HELLO = (Message("system", "be brief"), Message("user", "hello"))
BARE = {
    "model": "m",
    "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
    "stream": False,
}


@pytest.mark.parametrize(
    ("dialect", "fields", "stream", "added"),
    [
        (KIMI, {}, False, {}),
        (GLM, {}, False, {}),
        (KIMI, {}, True, {"stream": True, "stream_options": {"include_usage": True}}),
        (GLM, {}, True, {"stream": True}),
        (KIMI, {"temperature": 0.0, "max_tokens": 5}, False, {"temperature": 0.0, "max_tokens": 5}),
        (GLM, {"json_object": True}, False, {"response_format": {"type": "json_object"}}),
        (KIMI, {"thinking": True}, False, {}),
        (GLM, {"thinking": True}, False, {"thinking": {"type": "enabled"}}),
        (GLM, {"thinking": False}, False, {"thinking": {"type": "disabled"}}),
        (
            KIMI,
            {"web_search": True},
            False,
            {"tools": [{"type": "builtin_function", "function": {"name": "$web_search"}}]},
        ),
        (
            GLM,
            {"web_search": True},
            False,
            {"tools": [{"type": "web_search", "web_search": {"enable": True, "search_result": True}}]},
        ),
        (KIMI, {"fault": "status=500"}, False, {}),
    ],
)
def test_body(dialect: Dialect, fields: dict[str, Any], stream: bool, added: dict[str, Any]) -> None:
    request = ChatRequest(messages=HELLO, **fields)
    assert msgspec.json.decode(dialect.body(request, "m", stream=stream)) == BARE | added


@pytest.mark.parametrize("dialect", [KIMI, GLM])
def test_text_that_is_no_unicode_is_refused(dialect: Dialect) -> None:
    with pytest.raises(ProviderRejected, match="JSON"):
        dialect.body(ChatRequest(messages=(Message("user", "\ud800"),)), "m", stream=False)


@pytest.mark.parametrize("dialect", [KIMI, GLM])
def test_headers_carry_the_key(dialect: Dialect) -> None:
    assert dialect.headers()["Authorization"] == f"Bearer {KEY.reveal()}"
    assert KEY.reveal() not in repr(dialect)


@pytest.mark.parametrize("dialect", [KIMI, GLM])
def test_answer(dialect: Dialect) -> None:
    body = (
        b'{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi",'
        b'"reasoning_content":"hm"},"finish_reason":"length"}],'
        b'"usage":{"prompt_tokens":3,"completion_tokens":4}}'
    )
    usage = Usage(prompt_tokens=3, completion_tokens=4, total_tokens=7)
    assert dialect.answer(body) == Piece("hi", "hm", "length", usage)


@pytest.mark.parametrize(
    ("data", "piece"),
    [
        (b'{"choices":[{"delta":{"role":"assistant","content":""}}]}', Piece()),
        (b'{"choices":[{"delta":{"content":"hi"}}]}', Piece("hi")),
        (b'{"choices":[{"delta":{"content":null,"reasoning_content":"hm"}}]}', Piece("", "hm")),
        (b'{"choices":[{"delta":{},"finish_reason":"stop"}]}', Piece(finish_reason="stop")),
        (b'{"choices":[{"finish_reason":"stop"}]}', Piece(finish_reason="stop")),
        (
            b'{"choices":[{"delta":{},"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}]}',
            Piece(usage=Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)),
        ),
        (
            b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}',
            Piece(usage=Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)),
        ),
        (
            b'{"choices":[],"usage":{"prompt_tokens":-5,"completion_tokens":2,"total_tokens":99999999999999999}}',
            Piece(usage=Usage(prompt_tokens=0, completion_tokens=2, total_tokens=MOST_TOKENS)),
        ),
        (
            b'{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"a","function":{"name":"$web_search"}}]}}]}',
            Piece(tool_calls=(ToolCall(1, "a", "$web_search", ""),)),
        ),
    ],
)
@pytest.mark.parametrize("dialect", [KIMI, GLM])
def test_piece(dialect: Dialect, data: bytes, piece: Piece) -> None:
    assert dialect.piece(data) == piece


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"choices":[{"delta":',
        b'{"choices":[{"message":{"content":7},"delta":{"content":7}}]}',
        b'{"choices":"x"}',
        b"\xff\xff",
        b'{"x":' * 50_000,
        b'{"error":' + b"[" * 50_000,
    ],
)
@pytest.mark.parametrize("dialect", [KIMI, GLM])
def test_what_is_no_completion_is_unavailable(dialect: Dialect, body: bytes) -> None:
    for read in (dialect.answer, dialect.piece):
        with pytest.raises(ProviderUnavailable):
            read(body)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda s: (
            st.lists(s)
            | st.dictionaries(
                st.sampled_from(["choices", "delta", "message", "error", "content", "usage", "code"]), s
            )
        ),
    )
)
def test_any_json_is_read_or_refused(value: Any) -> None:
    for dialect in (KIMI, GLM):
        for read in (dialect.answer, dialect.piece):
            with contextlib.suppress(ProviderError):
                read(msgspec.json.encode(value))


def test_an_error_in_the_middle_of_a_stream_keeps_its_meaning() -> None:
    with pytest.raises(ProviderRateLimited) as caught:
        GLM.piece(b'{"error":{"code":"1302","message":"too many at once"}}')
    assert caught.value.code == "1302"
    with pytest.raises(ProviderUnavailable, match="network_error"):
        GLM.piece(b'{"choices":[{"delta":{},"finish_reason":"network_error"}]}')


def test_a_search_is_sent_back_unchanged() -> None:
    calls: list[ToolCall] = []
    merge_tool_calls(calls, (ToolCall(0, "c1", "$web_search", '{"q":'),))
    merge_tool_calls(calls, (ToolCall(0, "", "", ' "x"}'), ToolCall(1, "c2", "$web_search", "{}")))
    said, *results = KIMI.follow_up("", "hm", calls)
    assert said["role"] == "assistant"
    assert said["reasoning_content"] == "hm"
    assert [call["function"]["arguments"] for call in said["tool_calls"]] == ['{"q": "x"}', "{}"]
    assert results == [
        {"role": "tool", "tool_call_id": "c1", "name": "$web_search", "content": '{"q": "x"}'},
        {"role": "tool", "tool_call_id": "c2", "name": "$web_search", "content": "{}"},
    ]
    assert GLM.follow_up("", "", calls) == ()
    assert KIMI.follow_up("", "", [ToolCall(0, "c", "mine", "{}")]) == ()


def error(code: object) -> bytes:
    return msgspec.json.encode({"error": {"message": "they say why", "code": code}})


def kind(name: object) -> bytes:
    return msgspec.json.encode({"error": {"message": "they say why", "type": name}})


@pytest.mark.parametrize(
    ("dialect", "status", "body", "expected", "again"),
    [
        (KIMI, 400, kind("invalid_request_error"), ProviderRejected, False),
        (KIMI, 400, kind("content_filter"), ProviderRejected, False),
        (KIMI, 400, kind("server_error"), ProviderRejected, False),
        (KIMI, 401, kind("invalid_authentication_error"), ProviderAuthError, False),
        (KIMI, 401, b"", ProviderAuthError, False),
        (KIMI, 403, kind("exceeded_current_quota_error"), ProviderQuotaExhausted, False),
        (KIMI, 403, kind("rate_limit_reached_error"), ProviderQuotaExhausted, False),
        (KIMI, 403, b"", ProviderQuotaExhausted, False),
        (KIMI, 403, kind("permission_denied_error"), ProviderAuthError, False),
        (KIMI, 404, kind("resource_not_found_error"), ModelNotFound, False),
        (KIMI, 408, b"", ProviderTimeout, True),
        (KIMI, 429, kind("rate_limit_reached_error"), ProviderRateLimited, True),
        (KIMI, 429, kind("engine_overloaded_error"), ProviderRateLimited, True),
        (KIMI, 429, kind("exceeded_current_quota_error"), ProviderQuotaExhausted, False),
        (KIMI, 500, kind("server_error"), ProviderUnavailable, True),
        (KIMI, 503, kind("engine_overloaded_error"), ProviderUnavailable, True),
        (KIMI, 502, b"<html>bad gateway</html>", ProviderUnavailable, True),
        (KIMI, 302, b"", ProviderUnavailable, True),
        (KIMI, 418, b"", ProviderRejected, False),
        *((GLM, 401, error(code), ProviderAuthError, False) for code in range(1000, 1005)),
        (GLM, 429, error("1113"), ProviderQuotaExhausted, False),
        (GLM, 400, error("1211"), ModelNotFound, False),
        (GLM, 400, error("1261"), ProviderRejected, False),
        (GLM, 500, error("1261"), ProviderRejected, False),
        (GLM, 400, error("1301"), ProviderRejected, False),
        (GLM, 429, error("1302"), ProviderRateLimited, True),
        (GLM, 429, error(1303), ProviderRateLimited, True),
        (GLM, 429, error("1304"), ProviderQuotaExhausted, False),
        (GLM, 429, error("1308"), ProviderQuotaExhausted, False),
        (GLM, 429, error("1310"), ProviderQuotaExhausted, False),
        (GLM, 429, b"", ProviderRateLimited, True),
        (GLM, 401, b"", ProviderAuthError, False),
        (GLM, 500, error("500"), ProviderUnavailable, True),
        (GLM, 504, b"", ProviderTimeout, True),
    ],
)
def test_refusals(
    dialect: Dialect, status: int, body: bytes, expected: type[ProviderError], again: bool
) -> None:
    failure = dialect.failure(status, {"Retry-After": "2"}, body)
    assert type(failure) is expected
    assert (failure.provider, failure.status) == (dialect.name, status)
    assert is_retryable(failure) is again
    assert f"HTTP {status}" in failure.message
    assert ("they say why" in failure.message) is (b"they say why" in body)
    if again:
        assert failure.retry_after_s == 2


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (KIMI.failure(401, {}, b""), "KIMI_API_KEY"),
        (GLM.failure(401, {}, error("1002")), "GLM_API_URL"),
        (GLM.failure(404, {}, b""), "listmodels"),
        (KIMI.failure(302, {}, b""), "KIMI_API_URL"),
    ],
)
def test_hints_say_what_to_do(failure: ProviderError, words: str) -> None:
    assert words in (failure.hint or "")
