"""A semaphore that knows who has its permits: a drop-in for asyncio's."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Literal

from exai_ops.sem.permits import Held, Permit, Tally, _clock, _frame

_current_task = asyncio.tasks.current_task
_acquire = asyncio.Semaphore.acquire
_release = asyncio.Semaphore.release
_tuple = tuple.__new__  # half the time of the class's own call, which is what a permit costs most


class TrackedSemaphore(asyncio.Semaphore):
    """``asyncio.Semaphore`` that records, for each permit that is out, the task, the line and the time.

    A permit belongs to the task that asked for it, also through ``wait_for`` and ``create_task``. When a
    task gives back more than it took, the oldest permit of the others counts as handed over to it.

    Costs: see ``benchmarks/sem.py``; a record for each permit that is out, which keeps its task alive.

    Args:
        value: Permits in all.
        bounded: Whether a release beyond ``value`` raises ValueError, as with ``BoundedSemaphore``.
        name: What ``exai sem check`` and messages call it.
    """

    def __init__(self, value: int = 1, *, bounded: bool = False, name: str = "") -> None:
        super().__init__(value)
        self.bound = value
        self.name = name
        self._bounded = bounded
        self._tally = Tally()
        self._taken = self._tally.taken  # a block's way in and out is written out: calls are what it costs

    def acquire(self) -> Coroutine[Any, Any, Literal[True]]:
        """Take a permit, waiting if need be; a cancelled wait takes none."""
        return self._acquire(Permit.asked(_current_task(), _frame(1)))

    async def __aenter__(self) -> None:
        task, frame = _current_task(), _frame(1)
        permit = _tuple(Permit, (task, _clock(), frame.f_code, frame.f_lasti, True))
        if self._value <= 0 or self._waiters:
            await self._acquire(permit)
            return
        self._value -= 1
        mine = self._taken.get(task)
        if mine is None:
            self._taken[task] = [permit]
        else:
            mine.append(permit)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = _current_task()
        mine = self._taken.get(task)
        if mine is None or len(mine) > 1 or not mine[0].entered or self._waiters or self._bounded:
            self._give(entered=True)
            return
        del self._taken[task]
        self._value += 1

    def release(self) -> None:
        """Give a permit back. Raises ValueError beyond the bound, when it is ``bounded``."""
        self._give(entered=False)

    def _give(self, *, entered: bool) -> None:
        if self._bounded and self._value >= self.bound:
            raise ValueError("TrackedSemaphore released too many times")
        self._tally.give(_running_task(), entered=entered)
        _release(self)

    async def _acquire(self, permit: Permit) -> Literal[True]:
        await _acquire(self)
        self._tally.take(permit.since_now())
        return True

    def held(self, since_s: float = 0.0) -> list[Held]:
        """The permits that are out and were taken since a time of the monotonic clock, oldest first."""
        return self._tally.held(since_s)

    def lost(self) -> list[Held]:
        """Those whose task has ended. One that was handed to a live task to give back is among them."""
        return [held for held in self.held() if held.ended]

    @property
    def over_released(self) -> int:
        """Releases that gave back what nobody had taken."""
        return self._tally.extra


def _running_task() -> asyncio.Task[Any] | None:
    """The task that runs now, None in a callback or outside of every loop."""
    try:
        return _current_task()
    except RuntimeError:
        return None
