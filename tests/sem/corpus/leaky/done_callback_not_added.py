"""A job that ended before the scheduler looked gets no done-callback, and so nobody gives its permit back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Scheduler:
    def __init__(self, slots: int) -> None:
        self.slots = asyncio.BoundedSemaphore(slots)
        self.running: set[asyncio.Task[None]] = set()
        self.finished = 0

    async def start(self, job: Coroutine[Any, Any, None]) -> None:
        await self.slots.acquire()
        task = asyncio.create_task(job)
        await asyncio.sleep(0)  # lets the job begin before it is listed
        if task.done():
            self.finished += 1
            return
        self.running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.running.discard(task)
        self.slots.release()


async def rotate_logs() -> None:
    await asyncio.sleep(3600)


async def ping() -> None:
    return None


async def main() -> None:
    scheduler = Scheduler(5)
    await scheduler.start(rotate_logs())
    await scheduler.start(ping())
    await scheduler.start(rotate_logs())
    held = len(scheduler.running)
    await live(row(scheduler.slots, "Scheduler.slots", 5, "leaked", count=scheduler.finished, holders=held))


asyncio.run(main())
