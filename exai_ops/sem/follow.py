"""Following a process: from scan to scan, which second lost or doubled a permit. Pure.

While permits go out and come back, ``value + granted + held`` keeps its level. Below it, with nothing found
that might make up for it, permits are lost; above it, and above the bound, they were given back too often.

A change is said when it has been so in ``LASTS`` scans in a row, over ``AGREE_S`` or more, by the smallest
number of them, and is dated to the first of these: one scan may have missed a holder that was just running.
The level begins as the most that the first scans found, for the same reason. A semaphore whose bound nothing
says has to be seen in use as a limit, with a holder that gives back what it took: others count or signal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from exai_ops.sem.model import Holder, Judgement, Scan, Semaphore, Verdict
from exai_ops.sem.verdict import ACCUSATIONS, AGREE_S, judge

LASTS: Final = 3
_GROWING: Final = 5


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a semaphore.

    Attributes:
        what: ``lost``, ``doubled``, ``waiters`` (their number only grows), ``verdict``, ``new`` or ``gone``.
        at_s: When it was seen first, by the monotonic clock of the scans.
        after_s: When it had not happened yet: the scan before that one.
        permits: How many permits, or waiters.
        last: Who held permits in the last scan before; of a loss only those that hold none now, if some do.
    """

    what: str
    at_s: float
    semaphore: Semaphore
    permits: int = 0
    after_s: float | None = None
    last: tuple[Holder, ...] = ()
    judgement: Judgement | None = None


@dataclass
class _Lasting:
    """A number that has been above zero in every scan since a moment."""

    numbers: list[tuple[float, int]] = field(default_factory=list)
    last: tuple[Holder, ...] = ()
    after_s: float = 0.0

    def add(self, at_s: float, number: int, last: tuple[Holder, ...], before_s: float) -> None:
        """Take in a scan; ``last`` are the holders of the one before, at ``before_s``."""
        if number <= 0:
            self.numbers.clear()
            return
        if not self.numbers:
            self.last, self.after_s = last, before_s
        self.numbers.append((at_s, number))

    def enough(self) -> int:
        """The smallest of the numbers, 0 as long as it has not lasted."""
        if len(self.numbers) < LASTS or self.numbers[-1][0] - self.numbers[0][0] < AGREE_S:
            return 0
        return min(number for _, number in self.numbers)

    def lately(self) -> int:
        """The same of the latest scans alone that are enough: what came on top counts then."""
        for start in range(len(self.numbers) - LASTS, -1, -1):
            if self.numbers[-1][0] - self.numbers[start][0] >= AGREE_S:
                del self.numbers[:start]
                break
        return self.enough()


class _History:
    """One semaphore, from scan to scan."""

    def __init__(self, semaphore: Semaphore) -> None:
        self.semaphore = semaphore
        self.judgement = Judgement(Verdict.UNKNOWN)
        self._scans = 0
        self._before_s = 0.0
        self._base = self._level = 0
        self._limits = semaphore.bound is not None
        self._below, self._above = _Lasting(), _Lasting()
        self._accused: dict[Verdict, _Lasting] = {verdict: _Lasting() for verdict in ACCUSATIONS}
        self._said: Verdict | None = None
        self._number = 0
        self._queue: list[int] = []
        self._warned = 0

    def see(self, now: Semaphore, at_s: float) -> Iterator[Change]:
        """What a scan shows to have happened."""
        self._limits = self._limits or (now.held > 0 and now.bound_from != "no bound")
        yield from self._balance(now, at_s)
        yield from self._verdict(now, at_s)
        yield from self._waiting(now, at_s)
        self.semaphore, self._before_s = now, at_s

    def _balance(self, now: Semaphore, at_s: float) -> Iterator[Change]:
        least, most = _accounted(now)
        self._scans += 1
        if self._scans < LASTS:
            self._base = self._level = max(self._level, least)
            return
        before = self.semaphore.holders
        self._below.add(at_s, 0 if most is None else self._level - most, before, self._before_s)
        self._above.add(at_s, least - self._level, before, self._before_s)
        if lost := self._below.enough():
            self._level -= lost
            yield from self._happened("lost", lost, self._below, now)
        if risen := self._above.enough():
            ceiling = max(self._level, self._base if now.bound is None else now.bound)
            self._level += risen
            yield from self._happened("doubled", self._level - ceiling, self._above, now)

    def _happened(self, what: str, number: int, lasting: _Lasting, now: Semaphore) -> Iterator[Change]:
        if number > 0 and self._limits:
            last = _gone_first(lasting.last, now.holders)
            yield Change(what, lasting.numbers[0][0], now, number, lasting.after_s, last)
        lasting.numbers.clear()

    def _verdict(self, now: Semaphore, at_s: float) -> Iterator[Change]:
        """The verdict of this scan; an accusation once it has lasted, or when it was seen to happen."""
        judgement = judge(now)
        for verdict, lasting in self._accused.items():
            number = judgement.permits if judgement.verdict is verdict else 0
            lasting.add(at_s, number, self.semaphore.holders, self._before_s)
        if judgement.verdict in ACCUSATIONS:
            number = self._accused[judgement.verdict].lately()
            judgement = (
                Judgement(judgement.verdict, number, judgement.why)
                if number
                else Judgement(Verdict.SUSPECT, judgement.permits, "not seen often enough yet")
            )
        elif now.bound is None and self._limits and self._level != self._base:
            verdict = Verdict.LEAKED if self._level < self._base else Verdict.OVER_RELEASED
            judgement = Judgement(verdict, abs(self._level - self._base), "seen to happen")
        self.judgement = judgement
        if judgement.verdict in ACCUSATIONS and (
            judgement.verdict is not self._said or judgement.permits > self._number
        ):
            yield Change("verdict", at_s, now, judgement.permits, judgement=judgement)
            self._said, self._number = judgement.verdict, judgement.permits
        elif judgement.verdict is Verdict.IDLE:
            self._said, self._number = None, 0

    def _waiting(self, now: Semaphore, at_s: float) -> Iterator[Change]:
        """A number of waiters that has only grown."""
        waiting = sum(not waiter.granted for waiter in now.waiters)
        if self._queue and waiting < self._queue[-1]:
            self._queue.clear()
            self._warned = 0
        if not self._queue or waiting > self._queue[-1]:
            self._queue.append(waiting)
        if len(self._queue) > _GROWING and waiting > 2 * self._warned:
            self._warned = waiting
            yield Change("waiters", at_s, now, waiting, last=now.holders)


class Follower:
    """What has been seen of a process's semaphores so far."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], _History] = {}

    def see(self, scan: Scan) -> list[Change]:
        """Take in a scan; what it shows to have happened."""
        present = {(one.address, one.kind): one for one in scan.semaphores}
        gone = [self._known.pop(key) for key in [key for key in self._known if key not in present]]
        found = [Change("gone", scan.at_s, history.semaphore) for history in gone]
        for key, semaphore in present.items():
            if key not in self._known:
                self._known[key] = _History(semaphore)
                found.append(Change("new", scan.at_s, semaphore))
            found += self._known[key].see(semaphore, scan.at_s)
        return found

    def judgements(self, scan: Scan) -> list[Judgement]:
        """The verdict on each semaphore of the latest scan, with all that went before it."""
        return [self._known[one.address, one.kind].judgement for one in scan.semaphores]


def _gone_first(before: tuple[Holder, ...], now: tuple[Holder, ...]) -> tuple[Holder, ...]:
    """The holders that are no longer there, one of which took the permit along; all when each still is."""
    here = Counter((holder.what, holder.name) for holder in now)
    gone = []
    for holder in before:
        if here[holder.what, holder.name] > 0:
            here[holder.what, holder.name] -= 1
        else:
            gone.append(holder)
    return tuple(gone) or before


def _accounted(one: Semaphore) -> tuple[int, int | None]:
    """Permits that are accounted for: at least, and at most, None when that has no limit."""
    least = one.value + one.granted + one.held
    return least, None if one.possible is None else least + one.possible
