"""A pool takes a slot, then connects; when the server refuses, the slot is not given back."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class ServerRefused(OSError):
    pass


class Connection:
    def __init__(self, number: int) -> None:
        self.number = number
        self.rows = asyncio.Event()

    async def query(self, sql: str) -> str:
        await self.rows.wait()
        return sql


class Pool:
    def __init__(self, size: int) -> None:
        self._slots = asyncio.BoundedSemaphore(size)
        self._opened = 0
        self.refused = 0

    async def _connect(self) -> Connection:
        await asyncio.sleep(0)
        self._opened += 1
        if self._opened in {2, 4, 5}:
            self.refused += 1
            raise ServerRefused("too many clients already")
        return Connection(self._opened)

    async def take(self) -> Connection:
        await self._slots.acquire()
        return await self._connect()

    def give(self, connection: Connection) -> None:
        self._slots.release()


async def serve_request(pool: Pool, sql: str) -> str:
    try:
        connection = await pool.take()
    except ServerRefused:
        return "503"
    try:
        return await connection.query(sql)
    finally:
        pool.give(connection)


async def main() -> None:
    pool = Pool(8)
    requests = [asyncio.create_task(serve_request(pool, f"select {n}")) for n in range(5)]
    refused = 0
    while refused < 3:
        await asyncio.sleep(0)
        refused = sum(request.done() for request in requests)
    await live(row(pool._slots, "Pool._slots", 8, "leaked", count=pool.refused, holders=5 - refused))


asyncio.run(main())
