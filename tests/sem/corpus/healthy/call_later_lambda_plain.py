"""A cool-down: the timer runs a method that gives a plain semaphore's permit back through two more calls."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class CoolDown:
    def __init__(self, keys: list[str]) -> None:
        self._keys = asyncio.Semaphore(len(keys))
        self._fresh = list(keys)

    async def take(self) -> str:
        await self._keys.acquire()
        return self._fresh.pop()

    def tired(self, key: str, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, lambda: self._rested(key))

    def _rested(self, key: str) -> None:
        self._fresh.append(key)
        self._keys.release()


async def call(cool: CoolDown, seconds: float) -> str:
    key = await cool.take()
    cool.tired(key, seconds)
    return key


async def main() -> None:
    cool = CoolDown(["key-a", "key-b", "key-c", "key-d"])
    for seconds in (0.001, 600, 0.001, 900):
        await call(cool, seconds)
    while len(cool._fresh) < 2:
        await asyncio.sleep(0.002)
    await live(row(cool._keys, "CoolDown._keys", 4, "busy", holders=2))


asyncio.run(main())
