"""Subclasses that take two, take none, or give back later."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row


class Pairs(asyncio.BoundedSemaphore):
    async def acquire(self) -> Literal[True]:
        await super().acquire()
        return await super().acquire()

    def release(self) -> None:
        super().release()
        super().release()


class Switched(asyncio.BoundedSemaphore):
    on = False

    async def acquire(self) -> Literal[True]:
        return await super().acquire() if self.on else True

    def release(self) -> None:
        if self.on:
            super().release()


class Cooling(asyncio.BoundedSemaphore):
    def release(self) -> None:
        self.task = asyncio.create_task(self.later())

    async def later(self) -> None:
        await asyncio.sleep(600)
        super().release()


async def use(slots: asyncio.Semaphore, pause: float) -> None:
    async with slots:
        await asyncio.sleep(pause)


async def main() -> None:
    pairs, switched, cooling = Pairs(6), Switched(6), Cooling(6)
    tasks = [asyncio.create_task(use(*one)) for one in ((pairs, 600), (switched, 600), (cooling, 0))]
    await asyncio.sleep(0.05)
    await live(
        row(pairs, "pairs", 6, "busy", holders=2),
        row(switched, "switched", 6, "idle", allowed=("idle", "busy")),
        row(cooling, "cooling", 6, "busy", holders=1),
    )
    assert tasks


asyncio.run(main())
