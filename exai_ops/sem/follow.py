"""Following a process: from scan to scan, which second lost or doubled a permit. Pure.

``accounted = value + granted + held`` is constant while permits go out and come back. A drop that lasts is a
loss, a rise that lasts is a release too many, whether or not the bound is known. A change counts once it has
been the same for ``LASTS`` scans, and is dated to the first of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from exai_ops.sem.model import Holder, Judgement, Scan, Semaphore, Verdict
from exai_ops.sem.verdict import agreed, judge

LASTS: Final = 3
_GROWING: Final = 5


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a semaphore.

    Attributes:
        what: ``lost``, ``doubled``, ``waiters`` (their number only grows), ``verdict``, ``new`` or ``gone``.
        at_s: When, by the monotonic clock of the scans.
        permits: How many permits, or waiters.
        last: Who held permits in the last scan before.
    """

    what: str
    at_s: float
    semaphore: Semaphore
    permits: int = 0
    last: tuple[Holder, ...] = ()
    judgement: Judgement | None = None


_Account: TypeAlias = tuple[int, float, tuple[Holder, ...]]


@dataclass
class _History:
    semaphore: Semaphore
    level: int
    judgement: Judgement
    said: Verdict | None = None
    pending: list[_Account] = field(default_factory=list)
    before: tuple[Holder, ...] = ()
    waiters: list[int] = field(default_factory=list)
    warned: int = 0


class Follower:
    """What has been seen of a process's semaphores so far."""

    def __init__(self) -> None:
        self._known: dict[int, _History] = {}

    def see(self, scan: Scan) -> list[Change]:
        """Take in a scan; what it shows to have happened."""
        found: list[Change] = []
        present = {semaphore.address: semaphore for semaphore in scan.semaphores}
        for address in [address for address in self._known if address not in present]:
            history = self._known.pop(address)
            found.append(Change("gone", scan.at_s, history.semaphore))
        for address, semaphore in present.items():
            known = self._known.get(address)
            if known is None or known.semaphore.kind != semaphore.kind:
                self._known[address] = _History(semaphore, _accounted(semaphore), judge(semaphore))
                found.append(Change("new", scan.at_s, semaphore))
            else:
                found += _compare(known, semaphore, scan.at_s)
        return found

    def judgements(self, scan: Scan) -> list[Judgement]:
        """The verdict on each semaphore of the latest scan, with all that went before it."""
        return [self._known[semaphore.address].judgement for semaphore in scan.semaphores]


def _compare(known: _History, now: Semaphore, at_s: float) -> Iterator[Change]:
    changes = list(_balance(known, now, at_s))
    yield from changes
    yield from _queue(known, now, at_s)
    judgement = agreed(known.judgement, judge(now))
    for change in changes:
        if now.bound is None and change.what in ("lost", "doubled"):
            verdict = Verdict.LEAKED if change.what == "lost" else Verdict.OVER_RELEASED
            judgement = Judgement(verdict, change.permits, "seen to happen")
    if judgement.verdict is not known.said and judgement.verdict in (Verdict.LEAKED, Verdict.OVER_RELEASED):
        known.said = judgement.verdict
        yield Change("verdict", at_s, now, judgement.permits, judgement=judgement)
    if not (now.bound is None and known.judgement.why == "seen to happen"):
        known.judgement = judgement if known.said else judge(now)
    known.semaphore = now


def _accounted(semaphore: Semaphore) -> int:
    return semaphore.value + semaphore.granted + semaphore.held


def _balance(known: _History, now: Semaphore, at_s: float) -> Iterator[Change]:
    """A change of the sum, once it has lasted."""
    sum_now = _accounted(now)
    if sum_now == known.level or now.possible != 0:
        known.pending.clear()
        known.before = now.holders
        return
    if known.pending and known.pending[-1][0] != sum_now:
        known.pending.clear()
    known.pending.append((sum_now, at_s, known.before))
    if len(known.pending) < LASTS:
        return
    _, first_s, last = known.pending[0]
    difference = sum_now - known.level
    known.level = sum_now
    known.pending.clear()
    known.before = now.holders
    yield Change("lost" if difference < 0 else "doubled", first_s, now, abs(difference), last)


def _queue(known: _History, now: Semaphore, at_s: float) -> Iterator[Change]:
    """A number of waiters that has only grown."""
    waiting = sum(not waiter.granted for waiter in now.waiters)
    if known.waiters and waiting < known.waiters[-1]:
        known.waiters.clear()
        known.warned = 0
    if not known.waiters or waiting > known.waiters[-1]:
        known.waiters.append(waiting)
    if len(known.waiters) > _GROWING and waiting > 2 * known.warned:
        known.warned = waiting
        yield Change("waiters", at_s, now, waiting, now.holders)


def total(changes: Sequence[Change], what: str) -> int:
    """Permits over all changes of a kind."""
    return sum(change.permits for change in changes if change.what == what)
