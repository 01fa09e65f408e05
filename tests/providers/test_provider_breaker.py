"""The breaker's table, with a clock of the test's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exai_ops.providers.breaker import CircuitBreaker


def opened(failures: int = 3, at: float = 100.0) -> CircuitBreaker:
    breaker = CircuitBreaker(failures=failures, reset_s=30)
    for _ in range(failures):
        breaker.fail(admitted(breaker, at), at)
    return breaker


def admitted(breaker: CircuitBreaker, now: float) -> int:
    ticket = breaker.admit(now)
    assert ticket is not None
    return ticket


def test_failures_in_a_row_open_it() -> None:
    breaker = opened()
    assert breaker.state(100) == "open"
    assert breaker.admit(129.9) is None
    assert breaker.refuses_for_s(110) == 20


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = CircuitBreaker(failures=2, reset_s=30)
    breaker.fail(admitted(breaker, 0), 0)
    breaker.succeed(admitted(breaker, 0))
    breaker.fail(admitted(breaker, 0), 0)
    assert breaker.state(0) == "closed"
    assert breaker.consecutive_failures == 1


def test_one_trial_at_a_time() -> None:
    breaker = opened()
    assert breaker.state(130) == "half_open"
    admitted(breaker, 130)
    assert breaker.admit(131) is None
    assert breaker.refuses_for_s(131) > 0


def test_the_trial_decides() -> None:
    breaker = opened()
    breaker.succeed(admitted(breaker, 130))
    assert breaker.state(130) == "closed"
    breaker = opened()
    breaker.fail(admitted(breaker, 130), 131)
    assert breaker.state(160) == "open"
    assert breaker.state(161) == "half_open"


def test_a_trial_that_answers_lets_others_in_before_its_end() -> None:
    breaker = opened()
    trial = admitted(breaker, 130)
    breaker.begin_answer(trial)
    assert breaker.state(130) == "closed"
    other = admitted(breaker, 130)
    breaker.fail(trial, 131)
    assert breaker.consecutive_failures == 0
    breaker.fail(other, 131)
    assert breaker.consecutive_failures == 1


def test_an_answer_that_only_begins_does_not_start_the_count_anew() -> None:
    breaker = CircuitBreaker(failures=3, reset_s=30)
    for _ in range(3):
        ticket = admitted(breaker, 0)
        breaker.begin_answer(ticket)
        breaker.fail(ticket, 0)
    assert breaker.state(0) == "open"


def test_an_abandoned_trial_leaves_room_for_the_next() -> None:
    breaker = opened()
    breaker.abandon(admitted(breaker, 130))
    assert breaker.state(130) == "half_open"
    breaker.succeed(admitted(breaker, 130))
    assert breaker.state(130) == "closed"


def test_a_call_from_before_it_opened_says_nothing_now() -> None:
    breaker = CircuitBreaker(failures=1, reset_s=30)
    early, other = admitted(breaker, 0), admitted(breaker, 0)
    breaker.fail(early, 0)
    breaker.succeed(other)
    assert breaker.state(1) == "open"
    trial = admitted(breaker, 30)
    breaker.abandon(other)
    assert breaker.admit(30) is None
    breaker.succeed(trial)
    assert breaker.state(30) == "closed"


@given(st.lists(st.tuples(st.sampled_from(["succeed", "fail", "abandon"]), st.integers(0, 40))))
def test_it_never_wedges(steps: list[tuple[str, int]]) -> None:
    breaker = CircuitBreaker(failures=2, reset_s=30)
    now = 0.0
    for outcome, passed in steps:
        now += passed
        ticket = breaker.admit(now)
        if ticket is None:
            assert breaker.state(now) == "open"
        elif outcome == "fail":
            breaker.fail(ticket, now)
        else:
            getattr(breaker, outcome)(ticket)
    assert breaker.admit(now + 30) is not None
