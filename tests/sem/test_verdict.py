"""Verdicts from what a scan found: a table."""

from __future__ import annotations

import pytest

from exai_ops.sem.model import Holder, Judgement, Semaphore, Verdict, Waiter
from exai_ops.sem.verdict import agreed, judge

HELD = Holder("with", "Task-1", exact=True)
INFERRED = Holder("frame", "Task-1")
MAYBE = Holder("object", "app.Lease", certain=False)
ENDLESS = Holder("frame", "Task-2", permits=None, certain=False)
WAITS = Waiter("Task-3")
NEXT = Waiter("Task-4", granted=True)


def _semaphore(
    value: int,
    bound: int | None = 3,
    *out: Holder,
    waiters: tuple[Waiter, ...] = (),
    granted: int = 0,
    why: str = "",
    bound_from: str = "stored",
) -> Semaphore:
    return Semaphore(
        address=1,
        kind="asyncio.Semaphore",
        type_name="",
        where=("app.SLOTS",),
        value=value,
        bound=bound,
        bound_from=bound_from,
        waiters=waiters,
        granted=granted,
        holders=out,
        why=why,
    )


@pytest.mark.parametrize(
    ("semaphore", "verdict", "permits"),
    [
        (_semaphore(3), Verdict.IDLE, 0),
        (_semaphore(2, 3, granted=1), Verdict.IDLE, 0),
        (_semaphore(2, 3, HELD), Verdict.BUSY, 0),
        (_semaphore(0, 1, HELD), Verdict.BUSY, 0),
        (_semaphore(0, 1, HELD, waiters=(WAITS,)), Verdict.SATURATED, 0),
        (_semaphore(0, 1, HELD, waiters=(NEXT,)), Verdict.BUSY, 0),
        (_semaphore(1, 3, HELD), Verdict.LEAKED, 1),
        (_semaphore(1, 3, HELD, MAYBE), Verdict.SUSPECT, 1),
        (_semaphore(0, 3, HELD, MAYBE), Verdict.LEAKED, 1),
        (_semaphore(0, 3, HELD, ENDLESS), Verdict.SUSPECT, 2),
        (_semaphore(0), Verdict.LEAKED, 3),
        (_semaphore(4), Verdict.OVER_RELEASED, 1),
        (_semaphore(3, 3, HELD), Verdict.OVER_RELEASED, 1),
        (_semaphore(3, 3, HELD, MAYBE), Verdict.OVER_RELEASED, 1),
        (_semaphore(3, 3, INFERRED), Verdict.IDLE, 0),
        (_semaphore(2, 3, INFERRED, INFERRED), Verdict.BUSY, 0),
        (_semaphore(4, 3, INFERRED), Verdict.OVER_RELEASED, 2),
        (_semaphore(5, 3, HELD, MAYBE), Verdict.OVER_RELEASED, 3),
        (_semaphore(1, None), Verdict.UNKNOWN, 0),
        (_semaphore(1, None, HELD), Verdict.BUSY, 0),
        (_semaphore(0, None, HELD, waiters=(WAITS,)), Verdict.SATURATED, 0),
        (_semaphore(0, None, waiters=(WAITS,)), Verdict.LEAKED, 1),
        (_semaphore(0, None, MAYBE, waiters=(WAITS,)), Verdict.UNKNOWN, 0),
        (_semaphore(0, None, waiters=(WAITS,), bound_from="no bound"), Verdict.BUSY, 0),
        (_semaphore(7, None, bound_from="no bound"), Verdict.IDLE, 0),
        (_semaphore(0, why="its attributes changed while they were read"), Verdict.UNKNOWN, 0),
    ],
)
def test_verdict(semaphore: Semaphore, verdict: Verdict, permits: int) -> None:
    judgement = judge(semaphore)
    assert (judgement.verdict, judgement.permits) == (verdict, permits)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (Judgement(Verdict.LEAKED, 2), Judgement(Verdict.LEAKED, 3), Judgement(Verdict.LEAKED, 2)),
        (
            Judgement(Verdict.BUSY),
            Judgement(Verdict.LEAKED, 1),
            Judgement(Verdict.SUSPECT, 1, "seen once, not twice"),
        ),
        (Judgement(Verdict.LEAKED, 1), Judgement(Verdict.BUSY), Judgement(Verdict.BUSY)),
        (
            Judgement(Verdict.LEAKED, 1),
            Judgement(Verdict.OVER_RELEASED, 1),
            Judgement(Verdict.SUSPECT, 1, "seen once, not twice"),
        ),
    ],
)
def test_an_accusation_needs_two_scans(first: Judgement, second: Judgement, said: Judgement) -> None:
    assert agreed(first, second) == said
