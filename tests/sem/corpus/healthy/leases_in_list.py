"""Leases wait in a list for a reaper that closes them by age; no frame that took a permit is alive."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Lease:
    def __init__(self, owner: str, pool: BrowserPool, expires: float) -> None:
        self.owner, self.pool, self.expires = owner, pool, expires

    def close(self) -> None:
        self.pool.tabs.release()


class BrowserPool:
    def __init__(self, tabs: int) -> None:
        self.tabs = asyncio.BoundedSemaphore(tabs)
        self.leases: list[Lease] = []

    async def open(self, owner: str, seconds: float) -> None:
        await self.tabs.acquire()
        self.leases.append(Lease(owner, self, asyncio.get_running_loop().time() + seconds))

    async def reap(self) -> None:
        while True:
            now = asyncio.get_running_loop().time()
            for lease in [lease for lease in self.leases if lease.expires <= now]:
                self.leases.remove(lease)
                lease.close()
            await asyncio.sleep(0.005)


async def main() -> None:
    pool = BrowserPool(5)
    reaper = asyncio.create_task(pool.reap(), name="reaper")
    for owner, seconds in (("ada", 600), ("bob", 0), ("eve", 900), ("joe", 0)):
        await pool.open(owner, seconds)
    while len(pool.leases) > 2:
        await asyncio.sleep(0.005)
    await live(row(pool.tabs, "BrowserPool.tabs", 5, "busy", holders=len(pool.leases)))
    reaper.cancel()


asyncio.run(main())
