"""A program that sets the number of free permits itself."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row

SLOTS = asyncio.Semaphore(3)
SEATS = asyncio.Semaphore(5)


async def go() -> None:
    async with SLOTS, SEATS:
        await asyncio.sleep(0)


async def main() -> None:
    SLOTS._value = 10
    SEATS._value = 2
    await live(
        row(SLOTS, "SLOTS", 3, "idle", counter=True),
        row(SEATS, "SEATS", 5, "idle", counter=True),
    )


asyncio.run(main())
