"""From what a scan found to a verdict: pure, and slow to accuse.

With ``missing = bound - value - granted``, H permits with certain holders and P that might come back::

    missing < 0                        over-released, by H - missing
    missing < those seen to be taken   over-released, by the difference
    missing == 0                       idle
    missing <= H                       busy; saturated when none is free and some wait
    missing <= H + P                   suspect
    else                               leaked, missing - H - P

An accusation holds when two scans at least ``AGREE_S`` apart agree on it, by the smaller number.
"""

from __future__ import annotations

from typing import Final

from exai_ops.sem.model import Judgement, Semaphore, Verdict

AGREE_S: Final = 1.0
ACCUSATIONS: Final = frozenset({Verdict.LEAKED, Verdict.OVER_RELEASED})


def judge(one: Semaphore) -> Judgement:
    """What one scan alone would say; an accusation is not to be passed on before a second one agrees."""
    if one.why:
        return Judgement(Verdict.UNKNOWN, why=one.why)
    if one.bound is None:
        return _without_bound(one)
    missing = one.bound - one.value - one.granted
    if missing < 0:
        return Judgement(Verdict.OVER_RELEASED, one.held - missing)
    if missing < one.proven:
        return Judgement(Verdict.OVER_RELEASED, one.proven - missing)
    if missing == 0:
        return Judgement(Verdict.IDLE)
    return _missing(one, missing)


def _missing(one: Semaphore, missing: int) -> Judgement:
    if missing <= one.held:
        full = one.value == 0 and any(not waiter.granted for waiter in one.waiters)
        return Judgement(Verdict.SATURATED if full else Verdict.BUSY)
    if one.possible is None or missing <= one.held + one.possible:
        return Judgement(Verdict.SUSPECT, missing - one.held, "something might give them back")
    return Judgement(Verdict.LEAKED, missing - one.held - one.possible)


def _without_bound(one: Semaphore) -> Judgement:
    """A plain semaphore whose bound nothing says: starved is the one thing that can be told at once."""
    if one.bound_from == "no bound":
        return Judgement(Verdict.IDLE if one.value else Verdict.BUSY, why="it counts, and has no bound")
    starved = not one.value and not one.granted and any(not waiter.granted for waiter in one.waiters)
    if starved and not one.held and one.possible == 0:
        return Judgement(Verdict.LEAKED, 1, "some wait, and nothing holds a permit")
    if one.held and starved:
        return Judgement(Verdict.SATURATED)
    if one.held:
        return Judgement(Verdict.BUSY)
    return Judgement(Verdict.UNKNOWN, why="nothing says its bound; watch it")


def agreed(first: Judgement, second: Judgement) -> Judgement:
    """What two scans say together: the second's verdict, unless it accuses alone."""
    if second.verdict not in ACCUSATIONS:
        return second
    if first.verdict is second.verdict:
        return Judgement(second.verdict, min(first.permits, second.permits), second.why)
    return Judgement(Verdict.SUSPECT, second.permits, "seen once, not twice")
