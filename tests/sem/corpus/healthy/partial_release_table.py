"""functools.partial objects in a table of clean-ups: each gives a permit back at its ticket's end."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


def close(sem: asyncio.Semaphore, reason: list[str], ticket: int) -> None:
    reason.append(f"{ticket} closed")
    sem.release()


class Desk:
    def __init__(self, open_tickets: int) -> None:
        self._budget = asyncio.Semaphore(open_tickets)
        self._closers: dict[int, Callable[[], None]] = {}
        self.history: list[str] = []

    async def open(self, ticket: int) -> None:
        await self._budget.acquire()
        self._closers[ticket] = functools.partial(close, self._budget, self.history, ticket)

    def close(self, ticket: int) -> None:
        self._closers.pop(ticket)()


async def main() -> None:
    desk = Desk(7)
    for ticket in range(100, 106):
        await desk.open(ticket)
    for ticket in (101, 104):
        desk.close(ticket)
    held = len(desk._closers)
    await live(row(desk._budget, "Desk._budget", 7, "busy", holders=held))


asyncio.run(main())
