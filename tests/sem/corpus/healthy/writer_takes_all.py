"""A readers-and-writer lock: the writer takes all eight permits, readers stand in line behind it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class SharedLock:
    def __init__(self, readers: int) -> None:
        self.readers = readers
        self._permits = asyncio.BoundedSemaphore(readers)
        self._one_writer = asyncio.Lock()

    async def read(self) -> int:
        async with self._permits:
            await asyncio.sleep(0)
            return self.readers

    async def write(self, written: asyncio.Event) -> None:
        async with self._one_writer:
            for _ in range(self.readers):
                await self._permits.acquire()
        try:
            await written.wait()
        finally:
            for _ in range(self.readers):
                self._permits.release()


async def main() -> None:
    lock, written = SharedLock(8), asyncio.Event()
    await asyncio.gather(*(lock.read() for _ in range(20)))
    writer = asyncio.create_task(lock.write(written), name="writer")
    await steady()
    late = [asyncio.create_task(lock.read()) for _ in range(3)]
    await steady()
    waiting = sum(not task.done() for task in late)
    await live(row(lock._permits, "SharedLock._permits", 8, "saturated", holders=8, waiters=waiting))
    writer.cancel()


asyncio.run(main())
