"""A rate limiter: a timer gives each permit back when its window ends; only the loop's heap knows."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class RateLimiter:
    def __init__(self, calls: int, window_s: float) -> None:
        self._calls = asyncio.BoundedSemaphore(calls)
        self._window_s = window_s

    async def __aenter__(self) -> None:
        await self._calls.acquire()
        asyncio.get_running_loop().call_later(self._window_s, self._calls.release)

    async def __aexit__(self, *_error: object) -> None:
        return None


async def fetch(limiter: RateLimiter, page: int) -> int:
    async with limiter:
        await asyncio.sleep(0)
        return page


async def main() -> None:
    limiter = RateLimiter(10, 300)
    pages = await asyncio.gather(*(fetch(limiter, page) for page in range(6)))
    await live(row(limiter._calls, "RateLimiter._calls", 10, "busy", holders=len(pages)))


asyncio.run(main())
