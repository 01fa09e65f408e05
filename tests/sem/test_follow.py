"""Following a semaphore from scan to scan: rows of scans, and what they show to have happened."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest

from exai_ops.sem.follow import Change, Follower
from exai_ops.sem.model import Holder, Judgement, Scan, Semaphore, Verdict, Waiter


class Seen(NamedTuple):
    """One scan: permits free and held, those that might come back, and callers in line."""

    free: int
    held: int = 0
    possible: int = 0
    waiting: int = 0
    granted: int = 0


def _semaphore(seen: Seen, bound: int | None, bound_from: str) -> Semaphore:
    certain = tuple(Holder("with", f"Task-{n}") for n in range(seen.held))
    possible = tuple(Holder("object", "Lease", certain=False) for _ in range(seen.possible))
    waiters = tuple(Waiter(f"Waits-{n}") for n in range(seen.waiting))
    return Semaphore(
        address=1,
        kind="asyncio.Semaphore",
        type_name="",
        where=("app.SLOTS",),
        value=seen.free,
        bound=bound,
        bound_from=bound_from,
        granted=seen.granted,
        waiters=waiters,
        holders=certain + possible,
    )


def _scan(at_s: float, *semaphores: Semaphore) -> Scan:
    return Scan(1, 1, "3.11.7", at_s, 0.1, semaphores)


def _follow(
    rows: list[Seen], bound: int | None, bound_from: str = "none", every_s: float = 1.0
) -> tuple[list[Change], Judgement]:
    follower = Follower()
    changes: list[Change] = []
    last = _scan(0)
    for number, seen in enumerate(rows):
        last = _scan(number * every_s, _semaphore(seen, bound, bound_from))
        changes += follower.see(last)
    return changes, follower.judgements(last)[0]


FULL, ONE_OUT, LOST = Seen(3), Seen(2, 1), Seen(2)
BUSY = [Seen(2, 1), Seen(0, 3, waiting=2), Seen(1, 1, granted=1), Seen(3)] * 3

ROWS: list[tuple[str, int | None, list[Seen], list[tuple[str, float, int]], Verdict]] = [
    ("it goes round", 3, BUSY, [], Verdict.IDLE),
    ("it goes round without a bound", None, BUSY, [], Verdict.UNKNOWN),
    ("one missed once", 3, [ONE_OUT, ONE_OUT, ONE_OUT, LOST, ONE_OUT, ONE_OUT], [], Verdict.BUSY),
    ("one missed twice", None, [ONE_OUT] * 3 + [LOST] * 2 + [ONE_OUT] * 3, [], Verdict.BUSY),
    ("missed in the first scan", None, [LOST, ONE_OUT, ONE_OUT, ONE_OUT], [], Verdict.BUSY),
    ("lost", 3, [ONE_OUT] * 3 + [LOST] * 4, [("lost", 3.0, 1), ("verdict", 5.0, 1)], Verdict.LEAKED),
    (
        "lost without a bound",
        None,
        [ONE_OUT] * 3 + [LOST] * 4,
        [("lost", 3.0, 1), ("verdict", 5.0, 1)],
        Verdict.LEAKED,
    ),
    (
        "the smaller number",
        None,
        [ONE_OUT] * 3 + [Seen(0), Seen(1), Seen(2)],
        [("lost", 3.0, 1), ("verdict", 5.0, 1)],
        Verdict.LEAKED,
    ),
    (
        "lost before, and no more",
        3,
        [LOST] * 5,
        [("verdict", 2.0, 1)],
        Verdict.LEAKED,
    ),
    (
        "given back too often",
        None,
        [ONE_OUT] * 3 + [Seen(4)] * 4,
        [("doubled", 3.0, 1), ("verdict", 5.0, 1)],
        Verdict.OVER_RELEASED,
    ),
    (
        "lost again and again",
        3,
        [ONE_OUT] * 3 + [LOST] * 4 + [Seen(1)] * 4 + [Seen(0)] * 4,
        [
            ("lost", 3.0, 1), ("verdict", 5.0, 1), ("lost", 7.0, 1), ("verdict", 9.0, 2),
            ("lost", 11.0, 1), ("verdict", 13.0, 3),
        ],
        Verdict.LEAKED,
    ),
    (
        "found again and lost again",
        3,
        [LOST] * 4 + [FULL] * 2 + [LOST] * 4,
        [("verdict", 2.0, 1), ("verdict", 8.0, 1)],
        Verdict.LEAKED,
    ),
    ("found again", 3, [ONE_OUT] * 3 + [LOST] * 3 + [FULL] * 3,
     [("lost", 3.0, 1), ("verdict", 5.0, 1)], Verdict.IDLE),
    ("might come back", None, [ONE_OUT] * 3 + [Seen(2, possible=1)] * 6, [], Verdict.UNKNOWN),
    ("never seen as a limit", None, [Seen(3)] * 3 + [Seen(5)] * 3 + [Seen(0)] * 3, [], Verdict.UNKNOWN),
    (
        "the queue only grows",
        3,
        [Seen(0, 3, waiting=n) for n in range(1, 8)],
        [("waiters", 5.0, 6)],
        Verdict.SATURATED,
    ),
    ("the queue comes and goes", 3, [Seen(0, 3, waiting=n % 3) for n in range(12)], [], Verdict.SATURATED),
]  # fmt: skip


@pytest.mark.parametrize(
    ("bound", "rows", "happened", "verdict"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS]
)
def test_what_happened(
    bound: int | None, rows: list[Seen], happened: list[tuple[str, float, int]], verdict: Verdict
) -> None:
    changes, judgement = _follow(rows, bound)
    assert [(c.what, c.at_s, c.permits) for c in changes if c.what != "new"] == happened
    assert judgement.verdict is verdict


def test_it_names_who_held_before() -> None:
    changes, _ = _follow([ONE_OUT] * 3 + [LOST] * 3, 3)
    lost = next(change for change in changes if change.what == "lost")
    assert [holder.name for holder in lost.last] == ["Task-0"]


def test_it_names_those_who_hold_none_any_more_alone() -> None:
    two = [Holder("with", name) for name in ("stays", "took it along", "stays too")]
    full = replace(_semaphore(Seen(0, 3), 3, "stored"), holders=tuple(two))
    lost = replace(full, holders=(two[0], two[2]))
    follower = Follower()
    changes = [c for n, one in enumerate([full] * 3 + [lost] * 3) for c in follower.see(_scan(n, one))]
    assert [[holder.name for holder in c.last] for c in changes if c.what == "lost"] == [["took it along"]]


def test_scans_at_one_moment_are_not_enough() -> None:
    changes, judgement = _follow([ONE_OUT] * 3 + [LOST] * 5, 3, every_s=0.1)
    assert [change.what for change in changes] == ["new"]
    assert judgement.verdict is Verdict.SUSPECT


def test_what_has_no_bound_is_not_followed() -> None:
    changes, _ = _follow([ONE_OUT] * 3 + [LOST] * 4 + [Seen(9)] * 4, None, "no bound")
    assert [change.what for change in changes] == ["new"]


def test_one_that_goes_and_one_that_comes() -> None:
    follower = Follower()
    first = _semaphore(FULL, 3, "stored")
    assert [c.what for c in follower.see(_scan(0, first))] == ["new"]
    assert [c.what for c in follower.see(_scan(1))] == ["gone"]
    assert [c.what for c in follower.see(_scan(2, first))] == ["new"]
