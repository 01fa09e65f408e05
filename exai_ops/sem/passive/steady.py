"""Reading a process until it holds still, or until most readings of what moves say the same."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from exai_ops.sem.model import Holder, Waiter
from exai_ops.sem.passive.primitives import Primitive
from exai_ops.sem.passive.settle import settle, unexplained
from exai_ops.sem.passive.taken import Account

_APART_S: Final = 0.005
_LONG_APART_S: Final = 0.02
_NEW_EVERY: Final = 4
_MOST_SAMPLES: Final = 200
_ENOUGH: Final = 12
_PLAIN_ENOUGH: Final = 4  # of readings that accuse of nothing
_ACCUSES_S: Final = 0.2  # the least that is taken to accuse something that moves
_MOVING_S: Final = 1.5
_SURE: Final = 0.8
_PAUSE_S: Final = 0.001


@dataclass
class Seen:
    """A semaphore at a moment.

    Attributes:
        account: What calls have and owe.
        granted: Waiters that were given a permit and did not run since.
        steady: Whether it was the same just before and just after.
        carried: Whether what objects and callbacks carry was looked for.
        carriers: Objects that carry its permits, and how many entries do, as they were last read.
        churns: Whether they were different at the reading before, while permits were missing.
        open: What may give back a permit that it need not have taken, empty for nothing.
    """

    primitive: Primitive
    account: Account
    waiters: tuple[Waiter, ...]
    granted: int
    steady: bool
    holders: list[Holder] = field(default_factory=list)
    carried: bool = False
    open: str = ""
    carriers: frozenset[tuple[int, int]] = frozenset()
    churns: bool = False

    def same(self, other: Seen) -> bool:
        """Whether nothing happened between two readings."""
        mine, its = (
            (self.primitive, self.account, self.granted),
            (other.primitive, other.account, other.granted),
        )
        return mine == its


class Reader(Protocol):
    """What reads them."""

    def sample(self, *, new: bool = False) -> dict[int, Seen]:
        """Every semaphore as it is now.

        Args:
            new: Whether to look for objects that were not there before; else only where some have been.
        """

    def changes(self) -> bool:
        """Whether anything that was read is different by now."""

    def missing(self, one: Seen) -> int | None:
        """Permits that are out, None when the bound is not known."""


class Steady:
    """Goes from readings to one of each semaphore."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def of(self, first: Mapping[int, Seen]) -> dict[int, Seen]:
        """A reading of every semaphore: as it stands, or for one that moves, as it mostly is."""
        seen = dict(first)
        if not self._moves(plain=all(map(self._plain, first.values()))):
            return seen
        series = {}
        unbound = any(self._reader.missing(one) is None for one in first.values())
        for address, now in self._reader.sample(new=unbound).items():  # nothing else would show new holders
            before = seen.get(address)
            seen[address] = now
            still = before is not None and now.steady and now.same(before)
            if before is not None and not (still and self._plain(now)):
                series[address] = [before, now]
        self._follow(series)
        for address, some in series.items():
            seen[address] = self.typical(some)
        return seen

    def _moves(self, *, plain: bool) -> bool:
        """Whether anything that was read changes within a moment, a longer one where something is accused."""
        for pause_s in (_APART_S,) if plain else (_APART_S, _LONG_APART_S):
            time.sleep(pause_s)
            if self._reader.changes():
                return True
        return False

    def _follow(self, series: dict[int, list[Seen]]) -> None:
        """Read what moves again and again, until most readings agree; longer where they accuse."""
        began_s = time.monotonic()
        moving = set(series)
        for number in range(_MOST_SAMPLES):
            took_s = time.monotonic() - began_s
            if not moving or took_s > _MOVING_S:
                return
            time.sleep(_PAUSE_S * (number % 5))  # out of step with what goes round
            new = number % _NEW_EVERY == 0
            again = self._reader.sample(new=new)
            moving &= again.keys()
            for address in list(moving):
                series[address].append(again[address])
                left = self._mostly(series[address])
                sure = left is not None and took_s > _ACCUSES_S and new
                if sure or (left == 0 and self._reader.missing(again[address]) is not None):
                    moving.discard(address)

    def typical(self, some: list[Seen]) -> Seen:
        """One reading of many: one that misses what most of them do, else one that misses least."""
        sure = [one for one in some if one.steady] or some
        wanted = self._mostly(some)
        if wanted is None:
            return min(reversed(sure), key=lambda one: abs(self._left(one)))
        return next(one for one in reversed(sure) if self._left(one) == wanted)

    def _mostly(self, some: list[Seen]) -> int | None:
        """What most of enough readings miss, None when they do not agree."""
        sure = [self._left(one) for one in some if one.steady]
        if len(sure) < _PLAIN_ENOUGH:
            return None
        left, times = Counter(sure).most_common(1)[0]
        plain = left == 0 and self._reader.missing(some[-1]) is not None
        return left if times > _SURE * len(sure) and (plain or len(sure) >= _ENOUGH) else None

    def _plain(self, one: Seen) -> bool:
        """Whether a reading accuses of nothing, so that two alike are enough."""
        return self._reader.missing(one) is None or self._left(one) == 0

    def _left(self, one: Seen) -> int:
        """Permits that are out and that no call has; of an unknown bound, less by that."""
        missing = self._reader.missing(one)
        if missing is None:
            missing = -one.primitive.value - one.granted
        return unexplained(missing, settle(missing, one.account))
