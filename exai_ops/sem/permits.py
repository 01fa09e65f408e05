"""Who took which permit, where and when: the record that a prepared program keeps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple, Self

from exai_ops.sem.model import Site

_clock = time.monotonic
_frame = sys._getframe  # noqa: SLF001 - documented, and the one way to a caller that costs no microseconds


class Permit(NamedTuple):
    """A permit that is out. The line is worked out when it is asked for, not when the permit is taken.

    Attributes:
        owner: The task or thread that asked for it.
        taken_s: By the monotonic clock.
        code: Of the function that asked for it.
        lasti: Byte offset of the instruction there.
        block: Identity of the call whose ``with`` block took it and gives back this one and no other; 0 for
            one that was taken by hand. It stands for as long as the call does.
    """

    owner: Any
    taken_s: float
    code: CodeType
    lasti: int
    block: int = 0

    @classmethod
    def asked(cls, owner: Any, frame: FrameType, *, block: int = 0) -> Self:
        """A permit for who asks for it there, now."""
        return cls(owner, _clock(), frame.f_code, frame.f_lasti, block)

    def since_now(self, owner: Any) -> Self:
        """The same with its age counted from now: it was asked for earlier, and came now to that owner."""
        return self._replace(owner=owner, taken_s=_clock())

    @property
    def site(self) -> Site:
        """Where it was asked for."""
        line = self.code.co_firstlineno
        for start, end, number in self.code.co_lines():
            if start <= self.lasti < end and number is not None:
                line = number
        return Site(self.code.co_filename, line, self.code.co_qualname)


@dataclass(frozen=True, slots=True)
class Held:
    """One permit that is out, as a person reads it.

    Attributes:
        owner: Name of the task or thread that asked for it.
        ended: Whether that has ended.
        age_s: Seconds since it was taken.
    """

    owner: str
    ended: bool
    site: Site
    age_s: float


class Tally:
    """The permits of one semaphore that are out, by who took them."""

    __slots__ = ("extra", "taken")

    def __init__(self) -> None:
        self.taken: dict[Any, list[Permit]] = {}
        """By who took them, the latest last; no list is empty."""
        self.extra = 0
        """Releases that gave back what nobody had taken."""

    def take(self, permit: Permit) -> None:
        """Count a permit out."""
        mine = self.taken.get(permit.owner)
        if mine is None:
            self.taken[permit.owner] = [permit]
        else:
            mine.append(permit)

    def knows(self, owner: Any, block: int) -> bool:
        """Whether the block took one of these; without a block, whether the owner did."""
        return self._of_block(owner, block) is not None if block else owner in self.taken

    def give(self, owner: Any, *, block: int = 0) -> None:
        """Count one in: the block's, the owner's latest that was taken alike, or the oldest (a hand-over).

        Args:
            owner: Who gives it back.
            block: Identity of the call whose ``with`` block does, 0 for none.
        """
        found = (block and self._of_block(owner, block)) or self._latest(owner, entered=bool(block))
        if found is None:
            self.extra += 1
            return
        owner, at = found
        mine = self.taken[owner]
        mine.pop(at)
        if not mine:
            del self.taken[owner]

    def _of_block(self, owner: Any, block: int) -> tuple[Any, int] | None:
        """(who took, place) of what a call's block took; another task than its own may close it."""
        for who, permits in ((owner, self.taken.get(owner, ())), *self.taken.items()):
            for at in range(len(permits) - 1, -1, -1):
                if permits[at].block == block:
                    return who, at
        return None

    def _latest(self, owner: Any, *, entered: bool) -> tuple[Any, int] | None:
        """(who took, place) of the owner's latest that was taken alike; of the oldest when it has none."""
        mine = self.taken.get(owner)
        if mine is None:
            return (min(self.taken.items(), key=_oldest)[0], 0) if self.taken else None
        alike = (at for at in range(len(mine) - 1, -1, -1) if bool(mine[at].block) is entered)
        return owner, next(alike, len(mine) - 1)

    def __len__(self) -> int:
        return sum(len(permits) for permits in self.taken.values())

    def __iter__(self) -> Iterator[Permit]:
        """The permits that are out, oldest first."""
        permits = [permit for taken in list(self.taken.values()) for permit in taken]
        return iter(sorted(permits, key=lambda permit: permit.taken_s))

    def held(self, since_s: float = 0.0) -> list[Held]:
        """Those that were taken since a time of the monotonic clock, for a person, oldest first."""
        return self.told(lambda permit: permit.taken_s >= since_s)

    def told(self, wanted: Callable[[Permit], bool]) -> list[Held]:
        """Those that are wanted, for a person, oldest first."""
        now = _clock()
        return [Held(_name(p.owner), _ended(p.owner), p.site, now - p.taken_s) for p in self if wanted(p)]


def caller(levels: int = 1) -> FrameType:
    """The frame that called the function which asks, past ``levels - 1`` more."""
    return _frame(levels + 1)


_NOBODY: Final = "no task"


def _oldest(item: tuple[Any, list[Permit]]) -> float:
    return item[1][0].taken_s


def _name(owner: Any) -> str:
    if owner is None:
        return _NOBODY
    name = owner.get_name() if hasattr(owner, "get_name") else getattr(owner, "name", owner)
    return str(name)


def _ended(owner: Any) -> bool:
    if hasattr(owner, "done"):
        return bool(owner.done())
    return hasattr(owner, "is_alive") and not owner.is_alive()
