"""A cache filler under traffic: once, two callers raced, and the second found the value there and left with its permit."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row

class CacheFiller:
    def __init__(self, origin_calls: int) -> None:
        self._origin = asyncio.Semaphore(origin_calls)
        self._values: dict[str, int] = {}
        self.raced = 0

    async def get(self, key: str) -> int:
        if key in self._values:
            return self._values[key]
        await self._origin.acquire()
        if key in self._values:
            self.raced += 1
            return self._values[key]
        await asyncio.sleep(0.001)
        self._values[key] = len(key)
        self._origin.release()
        return self._values[key]

    def expire(self, key: str) -> None:
        self._values.pop(key, None)


async def refresh(filler: CacheFiller, key: str) -> None:
    while True:
        await filler.get(key)
        await asyncio.sleep(0.003)
        filler.expire(key)


async def main() -> None:
    filler = CacheFiller(1)
    first, second = asyncio.create_task(filler.get("home")), asyncio.create_task(filler.get("home"))
    await asyncio.gather(first, second)
    filler._origin.release()  # an operator's fix at the console, for one of them
    lost_once = filler.raced - 1
    third, fourth = asyncio.create_task(filler.get("news")), asyncio.create_task(filler.get("news"))
    await asyncio.gather(third, fourth)
    blocked = [asyncio.create_task(refresh(filler, f"page-{n}")) for n in range(3)]
    await asyncio.sleep(0.01)
    lost = lost_once + 1
    await live(row(filler._origin, "CacheFiller._origin", 1, "leaked", count=lost, waiters=len(blocked)))


asyncio.run(main())
