"""A session's reset may fail in the finally, one line before the release."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class BrokenPipe(ConnectionError):
    pass


class Session:
    def __init__(self, number: int) -> None:
        self.number = number

    async def execute(self, sql: str) -> int:
        await asyncio.sleep(3600 if sql == "listen" else 0)
        return len(sql)

    async def reset(self) -> None:
        await asyncio.sleep(0)
        if self.number % 2:
            raise BrokenPipe(f"session {self.number}")


class Database:
    def __init__(self, sessions: int) -> None:
        self.gate = asyncio.Semaphore(sessions)
        self.opened = 0

    async def run(self, sql: str) -> int:
        session = await self._enter()
        try:
            return await session.execute(sql)
        finally:
            await session.reset()
            self.gate.release()

    async def _enter(self) -> Session:
        await self.gate.acquire()
        self.opened += 1
        return Session(self.opened)


async def main() -> None:
    database = Database(5)
    outcomes = await asyncio.gather(*(database.run("select 1") for _ in range(4)), return_exceptions=True)
    lost = sum(isinstance(outcome, BrokenPipe) for outcome in outcomes)
    listeners = [asyncio.create_task(database.run("listen")) for _ in range(2)]
    await asyncio.sleep(0)
    await live(row(database.gate, "Database.gate", 5, "leaked", count=lost, holders=len(listeners)))


asyncio.run(main())
