"""A limiter resized from 4 to 9: more releases than acquires, on purpose, and it records its limit."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class ResizableLimiter:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._sem = asyncio.Semaphore(limit)

    async def resize(self, limit: int) -> None:
        while self.limit < limit:
            self.limit += 1
            self._sem.release()
        while self.limit > limit:
            await self._sem.acquire()
            self.limit -= 1

    async def __aenter__(self) -> None:
        await self._sem.acquire()

    async def __aexit__(self, *_error: object) -> None:
        self._sem.release()


async def call(limiter: ResizableLimiter, reply: asyncio.Event) -> None:
    async with limiter:
        await reply.wait()


async def main() -> None:
    limiter, reply = ResizableLimiter(4), asyncio.Event()
    await limiter.resize(12)
    await limiter.resize(9)
    calls = [asyncio.create_task(call(limiter, reply)) for _ in range(3)]
    await asyncio.sleep(0)
    await live(
        row(
            limiter._sem, "ResizableLimiter._sem", 4, "busy", holders=len(calls), counter=True,
            note="its limit is 9 since a resize; ResizableLimiter.limit says so",
        ),
    )  # fmt: skip


asyncio.run(main())
