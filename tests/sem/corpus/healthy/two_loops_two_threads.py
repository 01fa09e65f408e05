"""Two event loops in two threads, each with its own limit and its own holders."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Shard:
    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.limit = asyncio.BoundedSemaphore(limit)
        self.inside = 0

    async def lookup(self, seconds: float) -> None:
        async with self.limit:
            self.inside += 1
            await asyncio.sleep(seconds)
            self.inside -= 1

    async def serve(self, seconds: list[float], arrived: threading.Event) -> None:
        lookups = [asyncio.create_task(self.lookup(s), name=f"{self.name} {s}") for s in seconds]
        while self.inside + sum(task.done() for task in lookups) < len(lookups):
            await asyncio.sleep(0.001)
        arrived.set()
        await asyncio.gather(*lookups)


async def main() -> None:
    east, west, arrived = Shard("east", 4), Shard("west", 2), threading.Event()
    threading.Thread(
        target=asyncio.run, args=(west.serve([3600, 3600], arrived),), name="west", daemon=True
    ).start()
    here = asyncio.create_task(east.serve([3600, 0, 3600, 3600, 0], threading.Event()))
    await asyncio.get_running_loop().run_in_executor(None, arrived.wait)
    await steady()
    await live(
        row(east.limit, "Shard.limit (east)", 4, "busy", holders=east.inside),
        row(
            west.limit,
            "Shard.limit (west)",
            2,
            "saturated",
            holders=west.inside,
            allowed=("busy", "saturated"),
        ),
    )
    here.cancel()


asyncio.run(main())
