"""A decorator limits calls with a lease of __slots__ in the wrapper's frame; one call is inside."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row

Call = Callable[[int], Coroutine[Any, Any, str]]


class Lease:
    __slots__ = ("_limit",)

    def __init__(self, limit: asyncio.Semaphore) -> None:
        self._limit = limit

    def close(self) -> None:
        self._limit.release()


def at_most(limit: asyncio.Semaphore) -> Callable[[Call], Call]:
    def decorate(call: Call) -> Call:
        @functools.wraps(call)
        async def inner(key: int) -> str:
            await limit.acquire()
            lease = Lease(limit)
            try:
                return await call(key)
            finally:
                lease.close()

        return inner

    return decorate


CALLS = asyncio.BoundedSemaphore(3)


@at_most(CALLS)
async def customer(key: int) -> str:
    await asyncio.sleep(3600 if key == 7 else 0)
    if key % 2 == 0:
        raise KeyError(key)
    return f"customer {key}"


async def main() -> None:
    slow = asyncio.create_task(customer(7))
    await asyncio.gather(*map(customer, range(6)), return_exceptions=True)
    await live(row(CALLS, "CALLS", 3, "busy", holders=int(not slow.done())))


asyncio.run(main())
