"""What is taken is noted in bits, in bytes, in files: nothing that can be counted from outside."""

from __future__ import annotations

import array
import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row


class Docks:
    def __init__(self) -> None:
        self.free, self.mask, self.bytes = asyncio.BoundedSemaphore(4), 0, array.array("i", [0])

    async def moor(self, dock: int) -> None:
        await self.free.acquire()
        self.mask |= 1 << dock
        self.bytes[0] += 1

    def cast_off(self, dock: int) -> None:
        if self.mask >> dock & 1:
            self.mask &= ~(1 << dock)
            self.free.release()


async def main() -> None:
    docks = Docks()
    for dock in range(3):
        await docks.moor(dock)
    await live(row(docks.free, "Docks.free", 4, "busy", holders=3))


asyncio.run(main())
