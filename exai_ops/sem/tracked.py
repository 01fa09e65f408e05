"""A semaphore that knows who has its permits: a drop-in for asyncio's."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Literal

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
        bounded: Whether a release beyond ``value`` raises ValueError, as with ``BoundedSemaphore``, which it
            then is.
        name: What ``exai sem check`` and messages call it.
    """

    def __new__(cls, *_: Any, **options: Any) -> TrackedSemaphore:  # noqa: PYI034 - it may be another class
        """One that is bounded is of a class that derives from asyncio's bounded one too."""
        bounded = cls is TrackedSemaphore and options.get("bounded", False)
        return super().__new__(TrackedBoundedSemaphore if bounded else cls)

    def __init__(self, value: int = 1, *, bounded: bool = False, name: str = "") -> None:
        super().__init__(value)
        self.bound = value
        self.name = name
        self._bounded = bounded
        self._tally = Tally()
        self._taken = self._tally.taken  # a block's way in and out is written out: calls are what it costs

    def __repr__(self) -> str:
        text = super().__repr__()
        return f"{text[:-1]} name:{self.name}>" if self.name else text

    def acquire(self) -> Coroutine[Any, Any, Literal[True]]:
        """Take a permit, waiting if need be; a cancelled wait takes none.

        Without a loop that runs, it belongs to the task that the coroutine is run in.
        """
        return self._acquire(Permit.asked(_running_task(), _frame(1)))

    async def __aenter__(self) -> None:
        if (
            getattr(self.acquire, "__func__", None) is not _ACQUIRE
            or getattr(self.release, "__func__", None) is not _RELEASE
        ):
            await self.acquire()  # what a subclass or a test has put there is what a block calls
            return
        task, frame = _current_task(), _frame(1)
        permit = _tuple(Permit, (task, _clock(), frame.f_code, frame.f_lasti, id(frame)))
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
        if getattr(self.release, "__func__", None) is not _RELEASE:
            self.release()
            return
        task, block = _current_task(), id(_frame(1))
        mine = self._taken.get(task)
        if mine is None or len(mine) > 1 or mine[0].block != block or self._waiters or self._bounded:
            self._give(0 if getattr(self.acquire, "__func__", None) is not _ACQUIRE else block)
            return
        del self._taken[task]
        self._value += 1

    def release(self) -> None:
        """Give a permit back. Raises ValueError beyond the bound, when it is ``bounded``."""
        self._give(0)

    def _give(self, block: int) -> None:
        if self._bounded and self._value >= self.bound:
            raise ValueError("TrackedSemaphore released too many times")
        self._tally.give(_running_task(), block=block)
        _release(self)

    async def _acquire(self, permit: Permit) -> Literal[True]:
        await _acquire(self)
        self._tally.take(permit.since_now(permit.owner or _running_task()))
        return True

    def held(self, since_s: float = 0.0) -> list[Held]:
        """The permits that are out and were taken since a time of the monotonic clock, oldest first."""
        return self._tally.held(since_s)

    def recorded(self, wanted: Callable[[Permit], bool]) -> list[Held]:
        """Those of the permits that are out that are wanted, oldest first."""
        return self._tally.told(wanted)

    def lost(self) -> list[Held]:
        """Those whose task has ended. One that was handed to a live task to give back is among them."""
        return [held for held in self.held() if held.ended]

    @property
    def over_released(self) -> int:
        """Releases that gave back what nobody had taken."""
        return self._tally.extra


class TrackedBoundedSemaphore(TrackedSemaphore, asyncio.BoundedSemaphore):
    """What ``TrackedSemaphore(n, bounded=True)`` gives: ``isinstance`` knows it as asyncio's bounded one."""


_ACQUIRE: Final = TrackedSemaphore.acquire
_RELEASE: Final = TrackedSemaphore.release
if hasattr(inspect, "markcoroutinefunction"):
    inspect.markcoroutinefunction(_ACQUIRE)
else:
    _ACQUIRE._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]  # noqa: SLF001 - 3.11's way


def _running_task() -> asyncio.Task[Any] | None:
    """The task that runs now, None in a callback or outside of every loop."""
    try:
        return _current_task()
    except RuntimeError:
        return None
