"""Whether the permit goes back early depends on a flag; the frame that will decide waits for the customer."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Kitchen:
    def __init__(self) -> None:
        self.stoves = asyncio.BoundedSemaphore(4)
        self.delivered: dict[str, asyncio.Event] = {}

    async def order(self, dish: str, simmer: bool) -> None:
        await self.stoves.acquire()
        on_stove = True
        await asyncio.sleep(0)
        if not simmer:
            self.stoves.release()
            on_stove = False
        delivered = self.delivered.setdefault(dish, asyncio.Event())
        await delivered.wait()
        if on_stove:
            self.stoves.release()


async def main() -> None:
    kitchen = Kitchen()
    simmering = ("stew", "curry")
    orders = [
        asyncio.create_task(kitchen.order(dish, dish in simmering))
        for dish in ("salad", "stew", "bread", "curry", "soup")
    ]
    await steady()
    kitchen.delivered["soup"].set()
    await orders[-1]
    await live(row(kitchen.stoves, "Kitchen.stoves", 4, "busy", holders=len(simmering)))


asyncio.run(main())
