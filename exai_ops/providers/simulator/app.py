"""The simulator as a raw ASGI application: routes, keys, faults, answers."""

from __future__ import annotations

import asyncio
import functools
import zlib
from typing import Final

import msgspec

from exai_ops.providers.simulator import control
from exai_ops.providers.simulator.answers import Answer, Ask, answer, pieces_of, prompt_tokens_of, read_ask
from exai_ops.providers.simulator.dialects import (
    DIALECTS,
    DONE,
    MALFORMED,
    Dialect,
    balance,
    closing,
    completion,
    frame,
    opening,
    search_round,
    text_frames,
)
from exai_ops.providers.simulator.exchange import (
    JSON,
    SSE,
    BodyTooLarge,
    ClientGone,
    Exchange,
    Headers,
    Receive,
    Scope,
    Send,
)
from exai_ops.providers.simulator.faults import Fault, FaultError, parse_fault
from exai_ops.providers.simulator.options import SimulatorOptions
from exai_ops.providers.simulator.state import Outcome, Seen, SimulatorState

FAULT_HEADER: Final = b"x-exai-fault"
NOT_JSON: Final = b"<html><body>[simulated] a gateway's page in place of JSON</body></html>"
_CLOSE: Final = (b"connection", b"close")

_parse_cached: Final = functools.lru_cache(maxsize=256)(parse_fault)


class Simulator:
    """Answers for both vendors and under ``/_sim``; one per running server."""

    def __init__(self, options: SimulatorOptions | None = None) -> None:
        self.options = options or SimulatorOptions()
        self.state = SimulatorState(self.options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request. A client that leaves ends it quietly."""
        exchange = Exchange(scope, receive, send)
        path: str = scope["path"]
        for dialect in DIALECTS.values():
            if path.startswith(dialect.base):
                await self._count(dialect, exchange, path[len(dialect.base) :])
                return
        await control.respond(self.state, exchange)

    async def _count(self, dialect: Dialect, exchange: Exchange, route: str) -> None:
        seen = Seen(dialect.name, exchange.scope["method"], exchange.scope["path"])
        outcome: Outcome = "aborted"
        self.state.begin(seen)
        try:
            outcome = await self._respond(dialect, exchange, route, seen)
        except ClientGone:
            pass
        finally:
            self.state.end(seen, outcome)

    async def _respond(self, dialect: Dialect, x: Exchange, route: str, seen: Seen) -> Outcome:
        key, fault_text = _headers(x.scope["headers"])
        try:
            seen.body = await x.body(self.options.max_body_bytes)
            fault = seen.fault = self._fault(dialect, fault_text)
        except BodyTooLarge:
            _, body = dialect.refusal("too_long", "Request body too large")
            await x.answer(413, body, _CLOSE)
            return "refused"
        except FaultError as error:
            await x.answer(400, control.problem(error.field, error.problem))
            return "refused"
        if await self._spoil_early(dialect, x, fault):
            return "faulted"
        if (refused := self._refuse_key(dialect, key)) is not None:
            await x.answer(*refused)
            return "refused"
        if (x.scope["method"], route) == ("POST", "/chat/completions"):
            return await self._complete(dialect, x, seen, fault)
        return await self._look_up(dialect, x, route)

    def _fault(self, dialect: Dialect, header: str | None) -> Fault:
        if header is None:
            return self.state.spend(dialect.name, self.state.faults[dialect.name])
        fault = _parse_cached(header)
        dialect.check(fault)
        return self.state.spend(dialect.name, fault)

    async def _spoil_early(self, dialect: Dialect, x: Exchange, fault: Fault) -> bool:
        """What goes wrong before the headers; whether that was the answer."""
        wait_s = fault.latency
        if fault.jitter:
            wait_s += self.state.jitter(fault.jitter)
        if fault.at == 0:
            wait_s += fault.stall
        await x.pause(wait_s)
        if fault.reset:
            await x.reset()
            return True
        if fault.is_error and fault.at == 0:
            await self._send_error(dialect, x, fault)
            return True
        return False

    async def _send_error(self, dialect: Dialect, x: Exchange, fault: Fault) -> None:
        status, body = dialect.fault_error(fault)
        headers: Headers = []
        if fault.retry_after is not None:
            headers.append((b"retry-after", b"%g" % fault.retry_after))
        if status == 429:
            reset = b"%g" % (1 if fault.retry_after is None else fault.retry_after)
            headers += [
                (b"x-ratelimit-limit", b"3"),
                (b"x-ratelimit-remaining", b"0"),
                (b"x-ratelimit-reset", reset),
            ]
        await x.answer(status, body, *headers)

    def _refuse_key(self, dialect: Dialect, key: str) -> tuple[int, bytes] | None:
        if not key:
            return dialect.refusal("no_key")
        if self.options.keys and not any(good.matches(key) for good in self.options.keys):
            return dialect.refusal("bad_key")
        return None

    async def _look_up(self, dialect: Dialect, x: Exchange, route: str) -> Outcome:
        asked = (x.scope["method"], route)
        if asked == ("GET", "/models") and (dialect.name == "kimi" or self.options.glm_models):
            await x.answer(200, dialect.models())
        elif asked == ("GET", "/users/me/balance") and dialect.name == "kimi":
            await x.answer(200, balance(self.options.balance))
        else:
            await x.answer(*dialect.refusal("no_route", f"No route for {asked[0]} {route}"))
            return "refused"
        return "completed"

    async def _complete(self, dialect: Dialect, x: Exchange, seen: Seen, fault: Fault) -> Outcome:
        try:
            ask = read_ask(seen.body)
        except msgspec.DecodeError as error:
            await x.answer(*dialect.refusal("bad_request", f"Invalid request: {error}"))
            return "refused"
        seen.stream = bool(ask.stream)
        if (refused := self._refuse_ask(dialect, ask)) is not None:
            await x.answer(*refused)
            return "refused"
        ident = f"chatcmpl-sim-{zlib.crc32(seen.body):08x}"
        if dialect.name == "kimi" and fault.search_round and ask.searches and ask.messages[-1].role != "tool":
            await self._ask_search(x, ident, ask)
            return "completed"
        chunks = fault.chunks or self.options.chunks
        size = self.options.size if fault.size is None else fault.size
        said = answer(ask, size=size, least=chunks or 0)
        if ask.stream:
            return await self._stream(dialect, x, seen, fault, _Script(dialect, ident, ask, said, chunks))
        return await self._whole(dialect, x, fault, completion(dialect, ident, ask.model, said))

    def _refuse_ask(self, dialect: Dialect, ask: Ask) -> tuple[int, bytes] | None:
        window = dialect.windows.get(ask.model)
        if window is None:
            detail = f"Not found the model {ask.model} or Permission denied" if dialect.name == "kimi" else ""
            return None if self.options.any_model else dialect.refusal("no_model", detail)
        if prompt_tokens_of(ask) > window:
            detail = f"Your request exceeded model token limit: {window}" if dialect.name == "kimi" else ""
            return dialect.refusal("too_long", detail)
        return None

    async def _ask_search(self, x: Exchange, ident: str, ask: Ask) -> None:
        data = search_round(ident, ask.model, ask.messages[-1].text, stream=bool(ask.stream))
        if not ask.stream:
            await x.answer(200, msgspec.json.encode(data))
            return
        await x.start(200, SSE)
        await x.piece(frame(data) + DONE, last=True)

    async def _whole(self, dialect: Dialect, x: Exchange, fault: Fault, body: bytes) -> Outcome:
        """An unstreamed answer."""
        if fault.is_error:
            await self._send_error(dialect, x, fault)
            return "faulted"
        half = len(body) // 2
        if fault.malformed:
            body = NOT_JSON
        elif fault.truncate:
            body = body[:half]
        if fault.cut is None and not fault.stall:
            await x.answer(200, body)
            return "faulted" if fault.spoils else "completed"
        await x.start(200, [JSON, (b"content-length", b"%d" % len(body))])
        await x.piece(body[:half])
        if fault.cut is not None:
            await x.cut()
            return "faulted"
        await x.pause(fault.stall if fault.at else 0)
        await x.piece(body[half:], last=True)
        return "faulted" if fault.spoils else "completed"

    async def _stream(
        self, dialect: Dialect, x: Exchange, seen: Seen, fault: Fault, script: _Script
    ) -> Outcome:
        pace = self.options.pace if fault.pace is None else fault.pace
        await x.start(200, SSE)
        await x.piece(script.opening)
        for number, data in enumerate(script.pieces):
            if await _mishap(dialect, x, fault, number, number):
                return "faulted"
            # A turn of the loop sends each piece in a packet of its own, as a model does.
            await (x.pause(pace) if pace and number else asyncio.sleep(0))
            await x.piece(data)
            seen.pieces += 1
        if await _mishap(dialect, x, fault, len(script.pieces), 1_000_000):
            return "faulted"
        await x.piece(script.closing if fault.no_done else script.closing + DONE, last=True)
        return "faulted" if fault.spoils else "completed"


class _Script:
    """The frames of a stream: the first, one per piece, and what closes it but ``[DONE]``."""

    __slots__ = ("closing", "opening", "pieces")

    def __init__(self, dialect: Dialect, ident: str, ask: Ask, said: Answer, chunks: int | None) -> None:
        model = ask.model
        include_usage = ask.stream_options is not None and ask.stream_options.include_usage
        self.opening = opening(ident, model)
        self.pieces = text_frames(ident, model, "content", pieces_of(said.text, chunks))
        if said.reasoning:
            thoughts = pieces_of(said.reasoning, None)
            self.pieces = text_frames(ident, model, "reasoning_content", thoughts) + self.pieces
        self.closing = closing(dialect, ident, model, said, include_usage=include_usage)


async def _mishap(dialect: Dialect, x: Exchange, fault: Fault, lowest: int, highest: int) -> bool:
    """What goes wrong after ``lowest`` pieces, or any number up to ``highest``; whether it is the end."""
    if lowest <= fault.at <= highest:
        if fault.at:
            await x.pause(fault.stall)
        if fault.malformed:
            await x.piece(MALFORMED)
        if fault.is_error:
            await x.piece(frame(dialect.fault_error(fault)[1]), last=True)
            return True
    if fault.cut is not None and lowest <= fault.cut <= highest:
        await x.cut()
        return True
    return False


def _headers(headers: Headers) -> tuple[str, str | None]:
    """The bearer's key, empty when there is none, and the fault asked for."""
    key, fault = "", None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, rest = value.decode("latin-1").partition(" ")
            key = rest.strip() if scheme.lower() == "bearer" else ""
        elif name == FAULT_HEADER:
            fault = value.decode("latin-1")
    return key, fault
