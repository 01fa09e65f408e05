"""A fetcher's done-callback gives the permit back, and so does the coroutine itself."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Fetcher:
    def __init__(self, parallel: int) -> None:
        self.parallel = parallel
        self.slots = asyncio.Semaphore(parallel)
        self.bodies: dict[str, bytes] = {}
        self.called_back = 0

    async def start(self, url: str) -> asyncio.Task[None]:
        await self.slots.acquire()
        task = asyncio.create_task(self._fetch(url))
        task.add_done_callback(self._done)
        return task

    async def _fetch(self, url: str) -> None:
        try:
            await asyncio.sleep(0)
            self.bodies[url] = url.encode()
        finally:
            self.slots.release()

    def _done(self, task: asyncio.Task[None]) -> None:
        self.called_back += 1
        self.slots.release()


async def main() -> None:
    fetcher = Fetcher(4)
    await asyncio.gather(*[await fetcher.start(f"/feed/{n}") for n in range(3)])
    await asyncio.sleep(0)
    twice = fetcher.called_back
    await live(row(fetcher.slots, "Fetcher.slots", 4, "over-released", count=twice))


asyncio.run(main())
