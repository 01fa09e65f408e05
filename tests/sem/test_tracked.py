"""TrackedSemaphore behaves as asyncio's, and knows who has its permits."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.sem.tracked import TrackedSemaphore


def _line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


async def test_what_is_out_is_listed_with_task_line_and_age() -> None:
    slots = TrackedSemaphore(3, name="slots")
    await slots.acquire()
    line = _line() - 1
    (held,) = slots.held()
    current = asyncio.current_task()
    assert current is not None
    assert (held.owner, held.ended) == (current.get_name(), False)
    assert (held.site.file, held.site.line) == (__file__, line)
    assert held.age_s >= 0
    slots.release()
    assert slots.held() == []


async def test_the_line_of_an_async_with_is_that_of_the_block() -> None:
    slots = TrackedSemaphore(1)
    async with slots:
        assert [held.site.line for held in slots.held()] == [_line() - 1]
    assert slots.held() == []


@pytest.mark.parametrize(
    "ask", [lambda s: asyncio.wait_for(s.acquire(), 5), lambda s: asyncio.create_task(s.acquire())]
)
async def test_a_permit_belongs_to_the_task_that_asked(
    ask: Callable[[TrackedSemaphore], Coroutine[Any, Any, object]],
) -> None:
    slots = TrackedSemaphore(1)
    await ask(slots)
    current = asyncio.current_task()
    assert current is not None
    assert [held.owner for held in slots.held()] == [current.get_name()]
    assert slots.lost() == []


async def test_a_task_that_ends_with_a_permit_has_lost_it() -> None:
    slots = TrackedSemaphore(2)

    async def forget() -> None:
        await slots.acquire()

    await asyncio.create_task(forget(), name="forgetful")
    assert [(held.owner, held.ended) for held in slots.lost()] == [("forgetful", True)]


async def test_a_permit_that_is_handed_over_is_counted_in_once() -> None:
    slots = TrackedSemaphore(2)
    await slots.acquire()

    async def give_back() -> None:
        slots.release()

    await asyncio.create_task(give_back())
    assert (slots.held(), slots.over_released) == ([], 0)
    slots.release()
    assert slots.over_released == 1


async def test_a_block_gives_back_its_own_permit() -> None:
    slots = TrackedSemaphore(3)
    async with slots:
        await slots.acquire()
        line = _line() - 1
    assert [held.site.line for held in slots.held()] == [line]


async def test_waiters_come_in_order_and_a_cancelled_one_takes_nothing() -> None:
    slots = TrackedSemaphore(1)
    came: list[str] = []

    async def one(name: str) -> None:
        async with slots:
            came.append(name)
            await asyncio.sleep(0)

    async with slots:
        tasks = {name: asyncio.create_task(one(name)) for name in "abc"}
        await asyncio.sleep(0)
        tasks["b"].cancel()
    await asyncio.wait(tasks.values())
    assert (came, slots.held(), slots.locked()) == (["a", "c"], [], False)


async def test_a_bounded_one_refuses_what_was_not_taken() -> None:
    slots = TrackedSemaphore(1, bounded=True)
    with pytest.raises(ValueError, match="too many times"):
        slots.release()


@given(st.lists(st.sampled_from(["take", "give", "block"]), max_size=30))
def test_it_counts_as_asyncios_own(steps: list[str]) -> None:
    async def run(slots: asyncio.Semaphore) -> list[bool]:
        locked = []
        for step in steps:
            if step == "give":
                slots.release()
            elif not slots.locked():
                if step == "take":
                    await slots.acquire()
                else:
                    async with slots:
                        locked.append(slots.locked())
            locked.append(slots.locked())
        return locked

    assert asyncio.run(run(TrackedSemaphore(3))) == asyncio.run(run(asyncio.Semaphore(3)))


@pytest.mark.parametrize("kind", [asyncio.Semaphore, TrackedSemaphore])
def test_it_is_taken_without_a_loop_that_runs(kind: type[asyncio.Semaphore]) -> None:
    assert asyncio.run(kind(1).acquire()) is True
    slots, loop = kind(1), asyncio.new_event_loop()
    assert loop.run_until_complete(slots.acquire()) is True
    assert slots.locked()
    loop.close()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    assert asyncio.run_coroutine_threadsafe(kind(1).acquire(), loop).result(30) is True
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_what_was_asked_for_without_a_loop_belongs_to_the_task_that_runs_it() -> None:
    slots = TrackedSemaphore(1)
    asyncio.run(slots.acquire())
    (held,) = slots.held()
    assert (held.owner.startswith("Task-"), held.ended, held.site.file) == (True, True, __file__)
    slots.release()
    assert slots.held() == []


class _Own(TrackedSemaphore):
    """Notes what is called."""

    def __init__(self, host: str, limit: int) -> None:
        super().__init__(limit)
        self.host, self.calls = host, list[str]()

    async def acquire(self) -> Literal[True]:
        self.calls.append("acquire")
        await super().acquire()
        return True

    def release(self) -> None:
        self.calls.append("release")
        super().release()


async def test_a_block_calls_what_a_subclass_has_put_in_place() -> None:
    slots = _Own("here", 2)
    async with slots:
        assert len(slots.held()) == 1
    assert (slots.calls, slots.held(), slots.over_released) == (["acquire", "release"], [], 0)


@pytest.mark.parametrize("name", ["acquire", "release"])
async def test_a_block_calls_what_a_test_has_put_in_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slots = TrackedSemaphore(2)
    calls: list[str] = []
    original = getattr(slots, name)

    def instead() -> Any:
        calls.append(name)
        return original()

    monkeypatch.setattr(slots, name, instead)
    await slots.acquire()
    calls.clear()
    async with slots:
        pass
    assert calls == [name]
    assert [held.site.function.rpartition(".")[2] for held in slots.held()] == [
        "instead" if name == "acquire" else "test_a_block_calls_what_a_test_has_put_in_place"
    ]


async def test_a_block_that_another_task_closes_gives_back_its_own_permit() -> None:
    slots = TrackedSemaphore(3)

    async def block() -> AsyncIterator[None]:
        async with slots:
            yield

    outer = block()
    await anext(outer)

    async def close() -> None:
        async with slots:
            line = _line() - 1
            await outer.aclose()  # type: ignore[attr-defined]
            assert [(held.owner, held.site.line) for held in slots.held()] == [("closes", line)]

    await asyncio.create_task(close(), name="closes")
    assert (slots.held(), slots.over_released) == ([], 0)


async def test_an_exit_stack_gives_back_what_it_took() -> None:
    slots = TrackedSemaphore(3)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(slots)
        await slots.acquire()
    assert [held.site.file for held in slots.held()] == [__file__]


def test_what_it_is_told_from() -> None:
    assert asyncio.iscoroutinefunction(TrackedSemaphore(1).acquire)
    assert isinstance(TrackedSemaphore(1, bounded=True), asyncio.BoundedSemaphore)
    assert not isinstance(TrackedSemaphore(1), asyncio.BoundedSemaphore)
    assert "name:slots" in repr(TrackedSemaphore(1, name="slots"))
    assert "name" not in repr(TrackedSemaphore(1))


def test_it_is_the_rooms_own_name() -> None:
    from exai_ops import sem

    assert sem.TrackedSemaphore is TrackedSemaphore
    with pytest.raises(AttributeError, match="Tracked"):
        _ = sem.Tracked
