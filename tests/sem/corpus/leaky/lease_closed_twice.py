"""close() of a lease may be called twice: by the user and by the pool's shutdown of a group."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Lease:
    def __init__(self, pool: LeasePool, group: str) -> None:
        self.pool, self.group = pool, group

    def close(self) -> None:
        self.pool.free.release()


class LeasePool:
    def __init__(self, size: int) -> None:
        self.free = asyncio.Semaphore(size)
        self.groups: dict[str, list[Lease]] = {}

    async def take(self, group: str) -> Lease:
        await self.free.acquire()
        lease = Lease(self, group)
        self.groups.setdefault(group, []).append(lease)
        return lease

    def shut(self, group: str) -> int:
        leases = self.groups.pop(group)
        for lease in leases:
            lease.close()
        return len(leases)


async def main() -> None:
    pool = LeasePool(5)
    batch = [await pool.take("batch") for _ in range(2)]
    web = [await pool.take("web") for _ in range(2)]
    batch[0].close()
    pool.shut("batch")
    await live(
        row(pool.free, "LeasePool.free", 5, "over-released", count=1, holders=len(web)),
    )


asyncio.run(main())
