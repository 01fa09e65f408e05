"""A cache filler under traffic: a racing caller found the value there and left with its permit."""

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
    filler = CacheFiller(2)
    await asyncio.gather(
        *(filler.get("home") for _ in range(3))
    )  # the third waits, then finds the value there
    readers = [asyncio.create_task(refresh(filler, f"page-{n}")) for n in range(3)]
    await asyncio.sleep(0.01)
    await live(row(filler._origin, "CacheFiller._origin", 2, "leaked", count=filler.raced, working=True))
    assert readers


asyncio.run(main())
