"""Three thousand tasks at one gate of fifty: saturated, with a long line, and nothing lost."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady

WIDTH = 50


class Crawler:
    def __init__(self) -> None:
        self.gate = asyncio.Semaphore(WIDTH)
        self.inside = 0
        self.tarpit = asyncio.Event()

    async def visit(self, number: int) -> int:
        async with self.gate:
            self.inside += 1
            if number >= WIDTH:
                await self.tarpit.wait()
            self.inside -= 1
        return number


async def main() -> None:
    crawler = Crawler()
    visits = [asyncio.create_task(crawler.visit(n), name=f"visit {n}") for n in range(3000)]
    await steady()
    pending = [visit for visit in visits if not visit.done()]
    waiting = len(pending) - crawler.inside
    assert len(visits) - len(pending) == WIDTH
    await live(row(crawler.gate, "Crawler.gate", WIDTH, "saturated", holders=crawler.inside, waiters=waiting))


asyncio.run(main())
