"""One HTTP request to a provider and its answer, streamed or whole; every failure is a ProviderError."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from exai_ops.errors import ProviderUnavailable
from exai_ops.providers.complaint import MAX_BODY_BYTES
from exai_ops.providers.dialect import Dialect
from exai_ops.providers.sse import EventParser, EventTooLarge
from exai_ops.providers.transport import TRANSPORT_ERRORS, transport_failure
from exai_ops.providers.types import OnDelta, Usage
from exai_ops.providers.wire import NO_USAGE, Piece, ToolCall, merge_tool_calls

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
_ERROR_BODY_S: Final = 5.0
_LINGER_S: Final = 0.25  # for the end of a body whose last event has come, to keep the connection
_DONE: Final = b"[DONE]"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how one provider is asked; built once."""

    dialect: Dialect
    url: URL
    headers: CIMultiDict[str] = field(repr=False)  # the key is among them

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return f"{self.url.host}:{self.url.port}"


@dataclass(slots=True)
class Tally:
    """What has come so far of one completion, over its requests; kept when a request fails or is cancelled.

    Attributes:
        requests: HTTP requests made.
        first_token_at: ``time.perf_counter`` of the first piece of text, 0.0 before.
        pieces: Events of the current stream that held a piece of the answer.
        received_bytes: Of the current answer's body.
        streamed: Whether a piece of text has been handed on: nothing may be tried again after that.
        on_first_piece: Called with the first piece of each stream.
    """

    requests: int = 0
    first_token_at: float = 0.0
    pieces: int = 0
    received_bytes: int = 0
    streamed: bool = False
    on_first_piece: Callable[[], None] | None = None


@dataclass(slots=True)
class Answer:
    """One answer, put together."""

    text: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    usage: Usage = NO_USAGE
    tool_calls: list[ToolCall] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Question:
    """One HTTP request that is ready to be sent."""

    session: aiohttp.ClientSession
    endpoint: Endpoint
    body: bytes = field(repr=False)
    headers: CIMultiDict[str] = field(repr=False)
    timeout: aiohttp.ClientTimeout


async def ask(question: Question, tally: Tally, on_delta: OnDelta | None) -> Answer:
    """Ask once; streamed when ``on_delta`` is given. Cancelling it closes the connection at once."""
    endpoint = question.endpoint
    tally.requests += 1
    tally.pieces = tally.received_bytes = 0
    response: aiohttp.ClientResponse | None = None
    try:
        response = await _send(question)
        if response.status != 200:
            said = await _error_body(response, tally)
            raise endpoint.dialect.failure(response.status, response.headers, said)
        if on_delta is None:
            return await _whole(endpoint, response, tally)
        if response.headers.get("Content-Type", "").startswith("application/json"):
            # A refusal under status 200, or an answer from something that does not stream.
            answer = await _whole(endpoint, response, tally)
            if answer.text:
                await _hand_on(answer.text, tally, on_delta)
            return answer
        return await _stream(endpoint, response, tally, on_delta)
    finally:
        # A finished body has given its connection back to the pool, and this does nothing then.
        if response is not None:
            response.close()


async def _send(question: Question) -> aiohttp.ClientResponse:
    endpoint = question.endpoint
    try:
        return await question.session.post(
            endpoint.url,
            data=question.body,
            headers=question.headers,
            timeout=question.timeout,
            allow_redirects=False,
        )
    except TRANSPORT_ERRORS as error:
        raise transport_failure(endpoint.dialect.name, endpoint.host, error) from None


async def _read(endpoint: Endpoint, content: aiohttp.StreamReader, tally: Tally) -> bytes:
    """What has arrived of a body, at least a byte; empty at its end."""
    try:
        chunk = await content.readany()
    except TRANSPORT_ERRORS as error:
        raise transport_failure(endpoint.dialect.name, endpoint.host, error, tally.pieces) from None
    tally.received_bytes += len(chunk)
    if tally.received_bytes > MAX_ANSWER_BYTES:
        raise _broken(endpoint, f"sent more than {MAX_ANSWER_BYTES} bytes")
    return chunk


async def _whole(endpoint: Endpoint, response: aiohttp.ClientResponse, tally: Tally) -> Answer:
    content = response.content
    raw = await _read(endpoint, content, tally)
    if not content.at_eof():
        parts = [raw]
        while chunk := await _read(endpoint, content, tally):
            parts.append(chunk)
        raw = b"".join(parts)
    piece = endpoint.dialect.answer(raw)
    return Answer(
        piece.text,
        piece.reasoning,
        piece.finish_reason or "stop",
        piece.usage or NO_USAGE,
        [*piece.tool_calls],
    )


async def _error_body(response: aiohttp.ClientResponse, tally: Tally) -> bytes:
    """The start of an error's body; what can be had of it soon, for the status alone says enough."""
    parts: list[bytes] = []
    with contextlib.suppress(*TRANSPORT_ERRORS):
        async with asyncio.timeout(_ERROR_BODY_S):
            while tally.received_bytes < MAX_BODY_BYTES and (chunk := await response.content.readany()):
                parts.append(chunk)
                tally.received_bytes += len(chunk)
    return b"".join(parts)[:MAX_BODY_BYTES]


async def _stream(
    endpoint: Endpoint, response: aiohttp.ClientResponse, tally: Tally, on_delta: OnDelta
) -> Answer:
    """Read events until the end is announced, handing on each piece of text."""
    gathered = _Gathered()
    feed = EventParser().feed
    read_piece = endpoint.dialect.piece
    content = response.content
    while chunk := await _read(endpoint, content, tally):
        try:
            events = feed(chunk)
        except EventTooLarge as error:
            raise _broken(endpoint, f"sent {error}") from None
        for event in events:
            if event == _DONE:
                await _linger(content)
                return gathered.answer()
            piece = read_piece(event)
            gathered.add(piece)
            tally.pieces += 1
            if tally.pieces == 1 and tally.on_first_piece is not None:
                tally.on_first_piece()
            if piece.text:
                await _hand_on(piece.text, tally, on_delta)
    if not gathered.finish_reason:
        raise _broken(endpoint, f"stream cut after {tally.pieces} pieces")
    return gathered.answer()


async def _hand_on(text: str, tally: Tally, on_delta: OnDelta) -> None:
    if not tally.streamed:
        tally.streamed = True
        tally.first_token_at = time.perf_counter()
    await on_delta(text)


def _broken(endpoint: Endpoint, what: str) -> ProviderUnavailable:
    name = endpoint.dialect.name
    return ProviderUnavailable(f"{name} at {endpoint.host}: {what}", provider=name, status=200)


class _Gathered:
    """The pieces of a stream."""

    __slots__ = ("_calls", "_reasoning", "_texts", "_usage", "finish_reason")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._reasoning: list[str] = []
        self._usage = NO_USAGE
        self._calls: list[ToolCall] = []
        self.finish_reason = ""

    def add(self, piece: Piece) -> None:
        if piece.text:
            self._texts.append(piece.text)
        if piece.reasoning:
            self._reasoning.append(piece.reasoning)
        if piece.finish_reason:
            self.finish_reason = piece.finish_reason
        if piece.usage is not None:
            self._usage = piece.usage
        if piece.tool_calls:
            merge_tool_calls(self._calls, piece.tool_calls)

    def answer(self) -> Answer:
        return Answer(
            "".join(self._texts),
            "".join(self._reasoning),
            self.finish_reason or "stop",
            self._usage,
            self._calls,
        )


async def _linger(content: aiohttp.StreamReader) -> None:
    """Read past the end of the stream, so that its connection can be used again."""
    if content.at_eof():
        return
    with contextlib.suppress(*TRANSPORT_ERRORS):  # the answer is whole; its connection is closed instead
        async with asyncio.timeout(_LINGER_S):
            while await content.readany():
                pass
