"""A batcher holds a permit for each event until its flush; a flush that fails forgets them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Batcher:
    def __init__(self, backlog: int) -> None:
        self.backlog = asyncio.Semaphore(backlog)
        self.events: list[str] = []
        self.failed = 0

    async def add(self, event: str) -> None:
        await self.backlog.acquire()
        self.events.append(event)

    async def flush(self, sink_up: bool) -> None:
        batch, self.events = self.events, []
        await asyncio.sleep(0)
        if not sink_up:
            self.failed += len(batch)
            return
        for _ in batch:
            self.backlog.release()


async def main() -> None:
    batcher = Batcher(6)
    for number in range(3):
        await batcher.add(f"click {number}")
    await batcher.flush(sink_up=True)
    for number in range(4):
        await batcher.add(f"scroll {number}")
    await batcher.flush(sink_up=False)
    for number in range(2):
        await batcher.add(f"leave {number}")
    late = asyncio.create_task(batcher.add("close"))
    await asyncio.sleep(0.01)
    count, held, waiting = batcher.failed, len(batcher.events), int(not late.done())
    await live(
        row(batcher.backlog, "Batcher.backlog", 6, "leaked", count=count, holders=held, waiters=waiting),
    )


asyncio.run(main())
