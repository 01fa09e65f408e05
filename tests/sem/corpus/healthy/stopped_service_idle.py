"""A service after hard stops: tasks cancelled at every point of their work, all permits back."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Service:
    def __init__(self, limit: int) -> None:
        self.limit = asyncio.BoundedSemaphore(limit)
        self.tasks: list[asyncio.Task[None]] = []

    async def work(self, number: int) -> None:
        async with self.limit:
            for _ in range(number):
                await asyncio.sleep(0)
            await asyncio.sleep(0.001 * number)

    async def start(self, count: int) -> None:
        self.tasks = [asyncio.create_task(self.work(n)) for n in range(count)]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def main() -> None:
    service = Service(4)
    for ticks in range(12):
        await service.start(10)
        for _ in range(ticks):
            await asyncio.sleep(0)
        await service.stop()
    await live(row(service.limit, "Service.limit", 4, "idle"))


asyncio.run(main())
