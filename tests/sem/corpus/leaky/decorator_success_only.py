"""A decorator that limits calls gives the permit back on success alone."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row

LIMIT = asyncio.BoundedSemaphore(6)
Call = Callable[[int], Awaitable[str]]


def limited(call: Call) -> Call:
    @functools.wraps(call)
    async def inner(key: int) -> str:
        await LIMIT.acquire()
        result = await call(key)
        LIMIT.release()
        return result

    return inner


@limited
async def customer(key: int) -> str:
    await asyncio.sleep(0.001)
    if key % 4 == 3:
        raise KeyError(key)
    return f"customer {key}"


async def page(keys: range) -> tuple[list[str], int]:
    found, missing = [], 0
    for key in keys:
        try:
            found.append(await customer(key))
        except KeyError:
            missing += 1
    return found, missing


async def main() -> None:
    _, first = await page(range(6))
    _, second = await page(range(6, 12))
    await live(row(LIMIT, "LIMIT", 6, "leaked", count=first + second))


asyncio.run(main())
