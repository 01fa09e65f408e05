"""A circuit breaker: a provider that keeps failing is left alone for a while, then tried with one call.

======  =========================  =========
in      what happens               then in
======  =========================  =========
closed  failures in a row          open
open    ``reset_s`` passes         half_open
half    the one trial answers      closed
half    the trial fails            open
half    the trial is abandoned     half_open
======  =========================  =========

Pure: the time is passed in, any monotonic clock does. Each admitted call holds a ticket; what a call
reports that was admitted before the last change of state is ignored.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

State: TypeAlias = Literal["closed", "open", "half_open"]
_TRIAL_RETRY_S = 1.0


class CircuitBreaker:
    """The breaker of one provider.

    Args:
        failures: Failures in a row that open it.
        reset_s: How long it stays open.
    """

    __slots__ = ("_failures", "_generation", "_opened_at", "_reset_s", "_trial", "consecutive_failures")

    def __init__(self, *, failures: int, reset_s: float) -> None:
        self._failures = failures
        self._reset_s = reset_s
        self._opened_at: float | None = None  # None while closed
        self._trial = False
        self._generation = 0
        self.consecutive_failures = 0

    def state(self, now: float) -> State:
        """What it does with the next call: ``half_open`` lets one try."""
        if self._opened_at is None:
            return "closed"
        return "open" if now < self._opened_at + self._reset_s else "half_open"

    def refuses_for_s(self, now: float) -> float:
        """Seconds until asking again is worth it, 0.0 when a call would be admitted now."""
        if self._opened_at is None:
            return 0.0
        left = self._opened_at + self._reset_s - now
        if left > 0:
            return left
        return _TRIAL_RETRY_S if self._trial else 0.0

    def admit(self, now: float) -> int | None:
        """A ticket for one call, or None when it is refused. Each ticket must be reported once."""
        if self._opened_at is None:
            return self._generation
        if self.refuses_for_s(now):
            return None
        self._trial = True
        self._generation += 1
        return self._generation

    def succeed(self, ticket: int) -> None:
        """The provider answered."""
        if ticket != self._generation:
            return
        self.consecutive_failures = 0
        if self._opened_at is not None:
            self._opened_at = None
            self._end_trial()

    def begin_answer(self, ticket: int) -> None:
        """The answer has begun: a trial's is proof enough, so that others need not wait for its end."""
        if self._trial:
            self.succeed(ticket)

    def fail(self, ticket: int, now: float) -> None:
        """The provider did not answer, or with a fault of its own."""
        if ticket != self._generation:
            return
        self.consecutive_failures += 1
        if self._opened_at is not None or self.consecutive_failures >= self._failures:
            self._opened_at = now
            self._end_trial()

    def abandon(self, ticket: int) -> None:
        """The call ended without telling anything: cancelled."""
        if ticket == self._generation and self._trial:
            self._end_trial()

    def _end_trial(self) -> None:
        self._trial = False
        self._generation += 1
