"""One completion at one provider: its requests, retries and searches, told to the breaker and the monitor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from exai_ops.errors import ModelNotFound, ProviderAuthError, ProviderError, ProviderRejected
from exai_ops.providers.dialect import MAX_ROUNDS
from exai_ops.providers.exchange import Answer, Question, Tally, ask
from exai_ops.providers.resilience import breaker_open, counts_as_failure, is_retryable, retry
from exai_ops.providers.types import ChatRequest, Completion, OnDelta, Usage
from exai_ops.providers.upstream import Record, Shared, Upstream

_LEAST_WAIT_S: Final = 0.01
_ASKED: Final = ("model", "attempt")
_ENDED: Final = (
    "model",
    "attempt",
    "status",
    "first_token_ms",
    "pieces",
    "prompt_tokens",
    "completion_tokens",
    "retry_after_s",
)
"""Keys of the metadata of a request that goes out, and of one that has ended."""


@dataclass(slots=True)
class Run:
    """One completion; ``complete`` is called once, inside of ``deadline``."""

    shared: Shared
    upstream: Upstream
    model: str
    request: ChatRequest
    on_delta: OnDelta | None
    tally: Tally
    deadline: asyncio.Timeout
    patience_s: float | None = None
    origin: Mapping[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    async def complete(self) -> Completion:
        """The answer, after as many rounds as the model searches. Raises ProviderError."""
        dialect = self.upstream.endpoint.dialect
        streamed = self.on_delta is not None
        extra: tuple[dict[str, Any], ...] = ()
        rounds: list[Answer] = []
        while len(rounds) < MAX_ROUNDS:
            answer = await self._answer(dialect.body(self.request, self.model, stream=streamed, extra=extra))
            rounds.append(answer)
            if not answer.tool_calls:
                return self._completion(rounds)
            more = dialect.follow_up(answer.text, answer.reasoning, answer.tool_calls)
            if not more:
                return self._completion(rounds)
            extra += more
        raise ProviderRejected(
            f"{self.upstream.name} searched {MAX_ROUNDS} times without an answer",
            provider=self.upstream.name,
            hint="ask more narrowly, or without web_search",
        )

    def _completion(self, rounds: list[Answer]) -> Completion:
        duration_s = time.perf_counter() - self.started
        first_at = self.tally.first_token_at
        answer = rounds[0] if len(rounds) == 1 else _joined(rounds)
        return Completion(
            text=answer.text,
            provider=self.upstream.name,
            model=self.model,
            reasoning=answer.reasoning,
            finish_reason=answer.finish_reason,
            usage=answer.usage,
            attempts=self.tally.requests,
            first_token_s=first_at - self.started if first_at else duration_s,
            duration_s=duration_s,
            simulated=self.upstream.simulated,
        )

    async def _answer(self, body: bytes) -> Answer:
        """One round's answer, asked for as often as allowed and worth it."""
        attempts = self.shared.settings.provider_attempts
        try:
            return await self._attempt(body)
        except ProviderError as error:
            if attempts == 1 or self._wait_for_s(error) is None:
                raise
            first = error
        return await retry(first, lambda: self._attempt(body), attempts=attempts, wait_for_s=self._wait_for_s)

    def _wait_for_s(self, error: ProviderError) -> float | None:
        """Seconds to wait before the next attempt, 0 for the backoff's choice, None for no attempt."""
        if self.tally.streamed or not is_retryable(error):
            return None
        if self.upstream.breaker.refuses_for_s(self.shared.clock()):
            return None
        wait = error.retry_after_s
        if wait is None:
            return 0.0
        return max(wait, _LEAST_WAIT_S) if wait < self._patience_s() else None

    def _patience_s(self) -> float:
        """The longest wait that is worth it: within the deadline, and the caller's patience."""
        when = self.deadline.when()
        left = float("inf") if when is None else when - asyncio.get_running_loop().time()
        return left if self.patience_s is None else min(left, self.patience_s)

    async def _attempt(self, body: bytes) -> Answer:
        """One request, told to the breaker and to the monitor."""
        breaker, clock = self.upstream.breaker, self.shared.clock
        ticket = breaker.admit(clock())
        if ticket is None:
            raise breaker_open(self.upstream.name, breaker, clock(), self.upstream.last_error)
        self.tally.on_first_piece = partial(breaker.begin_answer, ticket)
        started = time.perf_counter()
        if self.shared.record is not None:
            self._asking(self.shared.record, len(body))
        try:
            answer = await ask(self._question(body), self.tally, self.on_delta)
        except ProviderError as error:
            self._failed(ticket, started, error)
            raise
        except BaseException as error:
            self._broken_off(ticket, started, error)
            raise
        breaker.succeed(ticket)
        self.upstream.last_ok_at, self.upstream.last_error = time.time(), None
        self.upstream.key_refused = False
        self._tell("receive", started, usage=answer.usage, status=200)
        return answer

    def _question(self, body: bytes) -> Question:
        shared, endpoint = self.shared, self.upstream.endpoint
        headers = endpoint.headers
        if self.request.fault and self.upstream.simulated:
            headers = headers.copy()
            headers["X-Exai-Fault"] = "".join(c for c in self.request.fault if " " <= c <= "~")
        timeout = shared.whole_timeout if self.on_delta is None else shared.stream_timeout
        return Question(shared.session, endpoint, body, headers, timeout)

    def _failed(self, ticket: int, started: float, error: ProviderError) -> None:
        if not isinstance(error, ProviderRejected | ModelNotFound):  # else it is the request that is ill
            self.upstream.last_error = error.message
        if isinstance(error, ProviderAuthError) and error.status != 403:  # 403: one model, or one right
            self.upstream.key_refused = True
        if counts_as_failure(error):
            self.upstream.breaker.fail(ticket, self.shared.clock())
        else:
            self.upstream.breaker.succeed(ticket)  # it is alive enough to refuse
        direction = "rate_limit" if error.status == 429 else "error"
        self._tell(
            direction, started, error=error.message, status=error.status, retry_after_s=error.retry_after_s
        )

    def _broken_off(self, ticket: int, started: float, error: BaseException) -> None:
        """The request ended on our side: cancelled, out of time, or the caller's callback failed."""
        late = self.deadline.expired()
        if late and not self.tally.streamed:
            self.upstream.last_error = "no answer within the deadline"
            self.upstream.breaker.fail(ticket, self.shared.clock())
        else:
            self.upstream.breaker.abandon(ticket)
        # Of an error that is not ours only the name is sure to hold no secret.
        self._tell("error", started, error="deadline" if late else type(error).__name__)

    def _asking(self, record: Record, size: int) -> None:
        """Tell the monitor that a request goes out; what is asked stays out of it."""
        record(
            self.upstream.name,
            "send",
            script_name="run.py",
            function_name="complete" if self.on_delta is None else "stream",
            data_size_bytes=size,
            metadata=(_ASKED, self.origin, self.model, self.tally.requests + 1),
        )

    def _tell(
        self,
        direction: str,
        started: float,
        *,
        error: str | None = None,
        usage: Usage | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """Tell the monitor how a request ended; what was answered stays out of it."""
        record = self.shared.record
        if record is None:
            return
        tally = self.tally
        first_ms = pieces = prompt = completion = None
        if tally.first_token_at >= started:
            first_ms, pieces = (tally.first_token_at - started) * 1000, tally.pieces
        if usage is not None:
            prompt, completion = usage.prompt_tokens, usage.completion_tokens
        record(
            self.upstream.name,
            direction,
            script_name="run.py",
            function_name="complete" if self.on_delta is None else "stream",
            data_size_bytes=tally.received_bytes,
            response_time_ms=(time.perf_counter() - started) * 1000,
            error=error,
            metadata=(
                _ENDED,
                self.origin,
                self.model,
                tally.requests,
                status,
                first_ms,
                pieces,
                prompt,
                completion,
                retry_after_s,
            ),
        )


def _joined(rounds: list[Answer]) -> Answer:
    """The answers of all rounds as one: text and reasoning in order, tokens summed."""
    usages = [answer.usage for answer in rounds]
    return Answer(
        text="".join(answer.text for answer in rounds),
        reasoning="".join(answer.reasoning for answer in rounds),
        finish_reason=rounds[-1].finish_reason,
        usage=Usage(
            prompt_tokens=sum(usage.prompt_tokens for usage in usages),
            completion_tokens=sum(usage.completion_tokens for usage in usages),
            total_tokens=sum(usage.total_tokens for usage in usages),
        ),
    )
