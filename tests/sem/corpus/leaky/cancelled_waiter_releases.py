"""try: acquire ... finally: release. Callers cancelled while they wait give back what they never had."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Search:
    def __init__(self) -> None:
        self.shards = asyncio.Semaphore(1)
        self.index_read = asyncio.Event()

    async def query(self, text: str) -> int:
        try:
            await self.shards.acquire()
            await self.index_read.wait()
            return len(text)
        finally:
            self.shards.release()


async def main() -> None:
    search = Search()
    slow = asyncio.create_task(search.query("*"))
    await asyncio.sleep(0)
    typed = [asyncio.create_task(search.query(text)) for text in ("s", "se", "sem")]
    await asyncio.sleep(0)
    for query in typed:  # the user went on typing
        query.cancel()
    await asyncio.wait(typed)
    search.index_read.set()
    await slow
    twice = sum(query.cancelled() for query in typed)
    await live(row(search.shards, "Search.shards", 1, "over-released", count=twice))


asyncio.run(main())
