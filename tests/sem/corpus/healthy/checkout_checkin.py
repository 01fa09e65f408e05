"""A connection pool: acquire in checkout(), release in checkin(), connections held by request objects."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Connection:
    def __init__(self, number: int) -> None:
        self.number = number


class Pool:
    def __init__(self, size: int) -> None:
        self._slots = asyncio.BoundedSemaphore(size)
        self._idle = [Connection(n) for n in range(size)]

    async def checkout(self) -> Connection:
        await self._slots.acquire()
        return self._idle.pop()

    def checkin(self, connection: Connection) -> None:
        self._idle.append(connection)
        self._slots.release()


class Request:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.connection: Connection | None = None

    async def begin(self) -> None:
        self.connection = await self.pool.checkout()

    def end(self) -> None:
        if self.connection is not None:
            self.pool.checkin(self.connection)
            self.connection = None


async def main() -> None:
    pool = Pool(6)
    requests = [Request(pool) for _ in range(5)]
    for request in requests:
        await request.begin()
    for request in requests[:2]:
        request.end()
    held = 6 - len(pool._idle)
    await live(row(pool._slots, "Pool._slots", 6, "busy", holders=held))


asyncio.run(main())
