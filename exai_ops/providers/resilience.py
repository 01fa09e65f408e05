"""What is tried again, when, and how often: retries by stamina, refusal by the circuit breaker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import stamina

from exai_ops.errors import BreakerOpen, ProviderError, ProviderRateLimited, ProviderUnavailable
from exai_ops.providers.breaker import CircuitBreaker

__all__ = ["CircuitBreaker", "breaker_open", "counts_as_failure", "is_retryable", "retry"]

T = TypeVar("T")
FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 5.0


def is_retryable(error: Exception) -> bool:
    """Whether the same request may do better later.

    The codes that must never be retried (PROTOCOL: key, balance, model, length, content, quota) become
    errors of other classes.
    """
    return isinstance(error, ProviderUnavailable | ProviderRateLimited) and not isinstance(error, BreakerOpen)


def counts_as_failure(error: ProviderError) -> bool:
    """Whether the breaker counts it: no answer or a fault of theirs; a refusal shows that they are alive."""
    return isinstance(error, ProviderUnavailable) and not isinstance(error, BreakerOpen)


def breaker_open(provider: str, breaker: CircuitBreaker, now: float, last_error: str | None) -> BreakerOpen:
    """The error of a call that was not made."""
    wait = breaker.refuses_for_s(now)
    why = f"; its last failure: {last_error}" if last_error else ""
    return BreakerOpen(
        f"{provider} failed {breaker.consecutive_failures} times in a row and is not asked"
        f" for another {wait:.1f} s{why}",
        provider=provider,
        retry_after_s=round(wait, 3),
        hint="wait, or name a model of the other provider",
    )


async def retry(
    first: ProviderError,
    attempt: Callable[[], Awaitable[T]],
    *,
    attempts: int,
    wait_for_s: Callable[[ProviderError], float | None],
) -> T:
    """Try again after the failure of the first attempt, which the caller made.

    Entering stamina costs 30 us, so that only a call that failed pays for it: its failure is replayed
    as stamina's first attempt.

    Args:
        attempts: Attempts in all, the first included.
        wait_for_s: None ends it; 0 leaves the wait to the backoff; else seconds.
    """

    def backoff(error: Exception) -> bool | float:
        if not isinstance(error, ProviderError):
            return False
        wait = wait_for_s(error)
        return False if wait is None else wait or True

    async for trial in stamina.retry_context(
        on=backoff,
        attempts=attempts,
        timeout=None,
        wait_initial=FIRST_WAIT_S,
        wait_max=LONGEST_WAIT_S,
        wait_jitter=FIRST_WAIT_S,
    ):
        with trial:
            if trial.num == 1:
                raise first
            return await attempt()
    raise first  # not reached: stamina raises the last failure
