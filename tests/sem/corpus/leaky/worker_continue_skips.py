"""A worker that lives for ever takes a permit for each message and skips duplicates without giving it back.

The frame that lost the permits is alive, at the queue, and has a line that releases: the next message's.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Consumer:
    def __init__(self, limit: int) -> None:
        self.budget = asyncio.BoundedSemaphore(limit)
        self.inbox: asyncio.Queue[int] = asyncio.Queue()
        self.handled: set[int] = set()
        self.duplicates = 0

    async def run(self) -> None:
        while True:
            number = await self.inbox.get()
            await self.budget.acquire()
            if number in self.handled:
                self.duplicates += 1
                self.inbox.task_done()
                continue
            self.handled.add(number)
            await asyncio.sleep(0)
            self.budget.release()
            self.inbox.task_done()


async def main() -> None:
    consumer = Consumer(8)
    worker = asyncio.create_task(consumer.run(), name="consumer")
    for number in (1, 2, 2, 3, 1, 4, 3):
        consumer.inbox.put_nowait(number)
    await consumer.inbox.join()
    await live(row(consumer.budget, "Consumer.budget", 8, "leaked", count=consumer.duplicates))
    worker.cancel()


asyncio.run(main())
