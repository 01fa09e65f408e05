"""Chat completions as both providers spell them on the wire, in the manner of OpenAI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from exai_ops.errors import ProviderRejected
from exai_ops.providers.types import ChatRequest, Usage

UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
NO_USAGE: Final = Usage()
MOST_TOKENS: Final = 10**9
_encode: Final = msgspec.json.Encoder().encode


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: _Function | None = None


class _Text(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class _Choice(msgspec.Struct):
    delta: _Text | None = None
    message: _Text | None = None
    finish_reason: str | None = None
    usage: _Usage | None = None  # Kimi puts a stream's usage here


class _Answer(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


_decode: Final = msgspec.json.Decoder(_Answer).decode
_NOTHING: Final = _Text()


@dataclass(slots=True)
class ToolCall:
    """A tool that the model wants called; in a stream, one fragment of it."""

    index: int
    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class Piece:
    """What one body, or one event of a stream, adds to the answer.

    Attributes:
        finish_reason: None while there is more to come.
    """

    text: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    tool_calls: tuple[ToolCall, ...] = ()


class WireError(ValueError):
    """What came is not a completion.

    Attributes:
        refused: True when it reads as an error in a provider's words, False when it is no JSON of ours.
    """

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


def read_answer(body: bytes) -> Piece:
    """The whole answer of an unstreamed completion. Raises WireError."""
    answer = _read(body)
    if not answer.choices:
        raise WireError("no choices", refused=True)
    return _piece(answer, answer.choices[0], answer.choices[0].message or _NOTHING)


def read_event(data: bytes) -> Piece:
    """What one event of a stream adds. Raises WireError."""
    answer = _read(data)
    if not answer.choices:
        if answer.choices is None and answer.usage is None:
            raise WireError("no choices", refused=True)
        return Piece(usage=_usage(answer.usage))
    return _piece(answer, answer.choices[0], answer.choices[0].delta or _NOTHING)


def _read(body: bytes) -> _Answer:
    try:
        answer = _decode(body)
    except UNDECODABLE as error:
        # The reason names a place in the JSON, never its content.
        raise WireError(str(error) if isinstance(error, msgspec.MsgspecError) else "bad JSON") from None
    if answer.error:
        raise WireError("an error", refused=True)
    return answer


def _piece(answer: _Answer, choice: _Choice, text: _Text) -> Piece:
    usage = answer.usage or choice.usage
    return Piece(
        text.content or "",
        text.reasoning_content or "",
        choice.finish_reason,
        _usage(usage) if usage else None,
        tuple(_tool_call(call) for call in text.tool_calls) if text.tool_calls else (),
    )


def _usage(usage: _Usage | None) -> Usage:
    if usage is None:
        return NO_USAGE
    prompt, completion = _count(usage.prompt_tokens), _count(usage.completion_tokens)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=_count(usage.total_tokens) or prompt + completion,
    )


def _count(tokens: int | None) -> int:
    """A count that can be one: what is not would fail a call that was answered."""
    return min(max(tokens or 0, 0), MOST_TOKENS)


def _tool_call(call: _ToolCall) -> ToolCall:
    function = call.function or _Function()
    return ToolCall(call.index or 0, call.id or "", function.name or "", function.arguments or "")


def request_body(
    request: ChatRequest, model: str, *, stream: bool, extra: tuple[dict[str, Any], ...]
) -> dict[str, Any]:
    """The members that both dialects share; ``extra`` are messages of the provider's own kind."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [*request.messages, *extra] if extra else request.messages,
        "stream": stream,
    }
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    if request.json_object:
        body["response_format"] = {"type": "json_object"}
    return body


def encode(body: dict[str, Any], provider: str) -> bytes:
    """The body as JSON. Raises ProviderRejected for text that is no Unicode (lone surrogates)."""
    try:
        return _encode(body)
    except (UnicodeEncodeError, msgspec.MsgspecError, TypeError) as error:
        raise ProviderRejected(
            f"the request cannot be written as JSON: {type(error).__name__}",
            provider=provider,
            hint="check the prompt for text that is not valid Unicode",
        ) from None


def merge_tool_calls(calls: list[ToolCall], pieces: tuple[ToolCall, ...]) -> None:
    """Put fragments of a stream together: arguments of the same index follow each other."""
    for piece in pieces:
        for call in calls:
            if call.index == piece.index:
                call.id = call.id or piece.id
                call.name = call.name or piece.name
                call.arguments += piece.arguments
                break
        else:
            calls.append(piece)
