"""A limiter of closures and retries: a permit for each attempt, each given back. Idle in the end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import Row, live, row

Send = Callable[[str], Awaitable[str]]


class Throttled(Exception):
    pass


def limited(send: Send, parallel: int, attempts: int) -> tuple[Send, Callable[[], Row]]:
    turn = asyncio.Semaphore(parallel)

    async def one(path: str) -> str:
        async with turn:
            return await send(path)

    async def retried(path: str) -> str:
        for attempt in range(attempts):
            try:
                return await one(path)
            except Throttled:
                await asyncio.sleep(0.001 * attempt)
        return f"{path}: given up"

    return retried, lambda: row(turn, "limited.<locals>.turn", parallel, "idle")


def flaky(fail: dict[str, int]) -> Send:
    async def send(path: str) -> str:
        await asyncio.sleep(0)
        if fail.get(path, 0):
            fail[path] -= 1
            raise Throttled(path)
        return path

    return send


async def main() -> None:
    get, claim = limited(flaky({"/a": 2, "/b": 9}), 2, 4)
    assert await asyncio.gather(*map(get, ("/a", "/b", "/c"))) == ["/a", "/b: given up", "/c"]
    await live(claim())


asyncio.run(main())
