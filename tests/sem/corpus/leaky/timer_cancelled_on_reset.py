"""A rate limiter gives permits back by call_later; reset() cancels the timers and with them the returns."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class RateLimiter:
    def __init__(self, per_window: int, window_s: float) -> None:
        self._tokens = asyncio.Semaphore(per_window)
        self._window_s = window_s
        self._timers: set[asyncio.TimerHandle] = set()

    async def wait(self) -> None:
        await self._tokens.acquire()
        loop = asyncio.get_running_loop()
        self._timers.add(loop.call_later(self._window_s, self._tokens.release))

    def reset(self) -> int:
        """Forget the past: meant for a change of the account."""
        stopped = len(self._timers)
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        return stopped


async def main() -> None:
    limiter = RateLimiter(5, 300)
    for _ in range(2):
        await limiter.wait()
    lost = limiter.reset()
    await limiter.wait()
    await live(
        row(limiter._tokens, "RateLimiter._tokens", 5, "leaked", count=lost, holders=len(limiter._timers))
    )


asyncio.run(main())
