"""A transaction class with __aenter__ and __aexit__, rolled back once; one is still open."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Rollback(Exception):
    pass


class Database:
    def __init__(self, writers: int) -> None:
        self._writers = asyncio.BoundedSemaphore(writers)
        self.log: list[str] = []

    def begin(self, name: str) -> Transaction:
        return Transaction(self, name)


class Transaction:
    def __init__(self, database: Database, name: str) -> None:
        self._database, self._name = database, name

    async def __aenter__(self) -> Transaction:
        await self._database._writers.acquire()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_rest: object) -> bool:
        self._database.log.append("rollback" if kind else "commit")
        self._database._writers.release()
        return kind is Rollback


async def transfer(database: Database, cents: int, approved: asyncio.Event) -> None:
    async with database.begin(f"transfer {cents}"):
        if cents < 0:
            raise Rollback
        if cents > 1000:
            await approved.wait()


async def main() -> None:
    database, approved = Database(2), asyncio.Event()
    large = asyncio.create_task(transfer(database, 5000, approved))
    await asyncio.gather(*(transfer(database, cents, approved) for cents in (10, -5, 20)))
    held = int(not large.done())
    await live(row(database._writers, "Database._writers", 2, "busy", holders=held))


asyncio.run(main())
