"""A limit that holds from the next start on: its attribute is not what the semaphore was made with."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row


class Service:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.slots = asyncio.Semaphore(limit)

    async def go(self) -> None:
        async with self.slots:
            await asyncio.sleep(0)


async def main() -> None:
    raised, lowered = Service(3), Service(8)
    raised.limit, lowered.limit = 12, 2
    await live(
        row(raised.slots, "Service.slots", 3, "idle"),
        row(lowered.slots, "Service.slots", 8, "idle"),
    )


asyncio.run(main())
