"""TrackedSemaphore behaves as asyncio's, and knows who has its permits."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

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


def test_it_is_the_rooms_own_name() -> None:
    from exai_ops import sem

    assert sem.TrackedSemaphore is TrackedSemaphore
    with pytest.raises(AttributeError, match="Tracked"):
        _ = sem.Tracked
