"""A dispatcher takes the permit, its task gives it back: not if cancelled before its first step."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Dispatcher:
    def __init__(self, workers: int) -> None:
        self._free = asyncio.BoundedSemaphore(workers)
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def submit(self, name: str) -> None:
        await self._free.acquire()
        self.tasks[name] = asyncio.create_task(self._work(name), name=name)

    async def _work(self, name: str) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            self._free.release()
            self.tasks.pop(name, None)

    def abort(self, name: str) -> None:
        self.tasks.pop(name).cancel()


async def main() -> None:
    dispatcher = Dispatcher(6)
    await dispatcher.submit("reindex")
    await dispatcher.submit("thumbnails")
    await asyncio.sleep(0)
    dispatcher.abort("thumbnails")  # has begun: its finally runs
    await asyncio.sleep(0)
    lost = 0
    for name in ("mail-1", "mail-2"):
        await dispatcher.submit(name)
        dispatcher.abort(name)  # has not begun: nothing of it ever runs
        lost += 1
    await steady()
    held = len(dispatcher.tasks)
    await live(row(dispatcher._free, "Dispatcher._free", 6, "leaked", count=lost, holders=held))


asyncio.run(main())
