"""A crawler leaves early when robots.txt forbids a page, before the line that gives the permit back."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row

PAGES = [f"https://shop.example/{part}/{n}" for part in ("item", "admin") for n in range(4)]


class Crawler:
    def __init__(self, parallel: int) -> None:
        self.gate = asyncio.BoundedSemaphore(parallel)
        self.forbidden = {"admin"}
        self.seen: dict[str, int] = {}
        self.skipped = 0

    async def allowed(self, url: str) -> bool:
        await asyncio.sleep(0)
        return urlsplit(url).path.split("/")[1] not in self.forbidden

    async def fetch(self, url: str) -> None:
        await self.gate.acquire()
        if not await self.allowed(url):
            self.skipped += 1
            return
        await asyncio.sleep(0.001)
        self.seen[url] = 200
        self.gate.release()

    async def run(self, urls: list[str]) -> None:
        await asyncio.gather(*(self.fetch(url) for url in urls))


async def main() -> None:
    crawler = Crawler(10)
    await crawler.run(PAGES)
    await live(row(crawler.gate, "Crawler.gate", 10, "leaked", count=crawler.skipped))


asyncio.run(main())
