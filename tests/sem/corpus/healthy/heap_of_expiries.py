"""Permits as tuples in a heap by expiry; one sleeping reaper gives each back when its time comes."""

from __future__ import annotations

import asyncio
import heapq
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Reservations:
    def __init__(self, tables: int) -> None:
        self._tables = asyncio.Semaphore(tables)
        self._until: list[tuple[float, str]] = []
        self._changed = asyncio.Event()

    async def reserve(self, guest: str, seconds: float) -> None:
        await self._tables.acquire()
        heapq.heappush(self._until, (asyncio.get_running_loop().time() + seconds, guest))
        self._changed.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            wait_s = self._until[0][0] - loop.time() if self._until else None
            if wait_s is not None and wait_s <= 0:
                heapq.heappop(self._until)
                self._tables.release()
                continue
            try:
                await asyncio.wait_for(self._changed.wait(), wait_s)
            except (asyncio.TimeoutError, TimeoutError):
                continue


async def main() -> None:
    reservations = Reservations(6)
    reaper = asyncio.create_task(reservations.run(), name="reaper")
    for guest, seconds in (("ada", 900), ("bob", 0.005), ("eve", 600), ("joe", 0.001), ("kim", 1200)):
        await reservations.reserve(guest, seconds)
    while len(reservations._until) > 3:
        await asyncio.sleep(0.002)
    held = len(reservations._until)
    await live(row(reservations._tables, "Reservations._tables", 6, "busy", holders=held))
    reaper.cancel()


asyncio.run(main())
