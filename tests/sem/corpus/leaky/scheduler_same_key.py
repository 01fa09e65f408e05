"""A scheduler keeps permits under the job's name; a second job of that name overwrites the first."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Permit:
    def __init__(self, sem: asyncio.Semaphore) -> None:
        self._sem = sem

    def give_back(self) -> None:
        self._sem.release()


class Scheduler:
    def __init__(self) -> None:
        self.capacity = asyncio.Semaphore(9)
        self.jobs: dict[str, Permit] = {}
        self.replaced = 0

    async def begin(self, name: str) -> None:
        await self.capacity.acquire()
        self.replaced += name in self.jobs
        self.jobs[name] = Permit(self.capacity)

    def end(self, name: str) -> None:
        permit = self.jobs.pop(name, None)
        if permit is not None:
            permit.give_back()


async def main() -> None:
    scheduler = Scheduler()
    for name in ("backup", "vacuum", "backup", "report", "backup", "invoice"):
        await scheduler.begin(name)
    for name in ("backup", "vacuum", "backup", "backup"):
        scheduler.end(name)
    held = len(scheduler.jobs)
    await live(
        row(scheduler.capacity, "Scheduler.capacity", 9, "leaked", count=scheduler.replaced, holders=held),
    )


asyncio.run(main())
