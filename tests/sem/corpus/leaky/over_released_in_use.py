"""A limit of two with three inside and two more in line: one permit was given back twice long before."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Scraper:
    def __init__(self) -> None:
        self.sessions = asyncio.Semaphore(2)
        self.inside = 0
        self.banned = 0

    async def scrape(self, page: str, captcha: asyncio.Event) -> None:
        await self.sessions.acquire()
        self.inside += 1
        try:
            await self._load(page, captcha)
        finally:
            self.inside -= 1
            self.sessions.release()

    async def _load(self, page: str, captcha: asyncio.Event) -> None:
        await asyncio.sleep(0)
        if page == "banned":
            self.banned += 1
            self.sessions.release()  # the session is thrown away, so its place is free
            return
        await captcha.wait()


async def main() -> None:
    scraper, captcha = Scraper(), asyncio.Event()
    await scraper.scrape("banned", captcha)
    pages = [asyncio.create_task(scraper.scrape(f"page {n}", captcha)) for n in range(5)]
    await steady()
    held = scraper.inside
    waiting = len(pages) - held
    await live(
        row(
            scraper.sessions, "Scraper.sessions", 2, "over-released",
            count=scraper.banned, holders=held, waiters=waiting,
        ),
    )  # fmt: skip


asyncio.run(main())
