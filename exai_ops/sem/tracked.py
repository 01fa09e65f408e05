"""A semaphore that knows who has its permits: a drop-in for asyncio's."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Literal

from exai_ops.sem.permits import Held, Permit, Tally, _frame

_current_task = asyncio.tasks.current_task


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

    def acquire(self) -> Coroutine[Any, Any, Literal[True]]:
        """Take a permit, waiting if need be; a cancelled wait takes none."""
        return self._acquire(Permit(_current_task(), _frame(1)))

    async def __aenter__(self) -> None:
        permit = Permit(_current_task(), _frame(1), entered=True)
        if self._value > 0 and not self._waiters:
            self._value -= 1
            self._tally.take(permit)
        else:
            await self._acquire(permit)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give(entered=True)

    def release(self) -> None:
        """Give a permit back. Raises ValueError beyond the bound, when it is ``bounded``."""
        self._give(entered=False)

    def _give(self, *, entered: bool) -> None:
        if self._bounded and self._value >= self.bound:
            raise ValueError("TrackedSemaphore released too many times")
        self._tally.give(_running_task(), entered=entered)
        super().release()

    async def _acquire(self, permit: Permit) -> Literal[True]:
        await super().acquire()
        permit.since_now()
        self._tally.take(permit)
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
