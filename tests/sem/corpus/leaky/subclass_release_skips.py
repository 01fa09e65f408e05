"""A subclass counts releases for its metrics and, while the service drains, forgets the real one."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class MeteredSemaphore(asyncio.BoundedSemaphore):
    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.draining = False
        self.released = 0
        self.swallowed = 0

    def release(self) -> None:
        if self.draining:
            self.swallowed += 1
            return
        self.released += 1
        super().release()


class Service:
    def __init__(self) -> None:
        self.requests = MeteredSemaphore(12)
        self.proceed = asyncio.Event()

    async def answer(self, wait: bool) -> None:
        async with self.requests:
            if wait:
                await self.proceed.wait()


async def main() -> None:
    service = Service()
    quick = [asyncio.create_task(service.answer(wait=False)) for _ in range(7)]
    slow = [asyncio.create_task(service.answer(wait=True)) for _ in range(2)]
    await asyncio.gather(*quick)
    service.requests.draining = True
    service.proceed.set()
    await asyncio.gather(*slow)
    service.requests.draining = False  # the deploy was called off
    await service.answer(wait=False)
    lost = service.requests.swallowed
    await live(row(service.requests, "Service.requests", 12, "leaked", count=lost))


asyncio.run(main())
