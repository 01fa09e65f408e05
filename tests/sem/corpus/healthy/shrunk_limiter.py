"""A limiter shrunk from 8 to 5: three permits taken out until it grows, and it records its limit."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Throttle:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.withdrawn = 0
        self._sem = asyncio.Semaphore(limit)

    async def shrink(self, by: int) -> None:
        for _ in range(by):
            await self._sem.acquire()
            self.withdrawn += 1

    def grow(self, by: int) -> None:
        for _ in range(min(by, self.withdrawn)):
            self.withdrawn -= 1
            self._sem.release()

    async def run(self, seconds: float) -> None:
        async with self._sem:
            await asyncio.sleep(seconds)


async def main() -> None:
    throttle = Throttle(8)
    await throttle.shrink(4)
    throttle.grow(1)
    long = asyncio.create_task(throttle.run(3600))
    await throttle.run(0)
    held = int(not long.done())
    await live(
        row(
            throttle._sem, "Throttle._sem", 8, "busy", holders=held + throttle.withdrawn,
            note=f"{throttle.withdrawn} of the holders are the limiter itself: withdrawn, until grow()",
        ),
    )  # fmt: skip


asyncio.run(main())
