"""A weighted limiter takes n permits one by one; a timeout midway keeps the ones it has."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Weighted:
    def __init__(self, units: int) -> None:
        self._units = asyncio.Semaphore(units)
        self.taken_in_vain = 0

    async def take(self, units: int, patience_s: float) -> bool:
        for got in range(units):
            try:
                await asyncio.wait_for(self._units.acquire(), patience_s)
            except (asyncio.TimeoutError, TimeoutError):
                self.taken_in_vain += got
                return False
        return True

    def give(self, units: int) -> None:
        for _ in range(units):
            self._units.release()


async def transcode(limiter: Weighted, units: int, film: asyncio.Event, patience_s: float) -> bool:
    if not await limiter.take(units, patience_s):
        return False
    try:
        await film.wait()
        return True
    finally:
        limiter.give(units)


async def main() -> None:
    limiter, film = Weighted(10), asyncio.Event()
    small = asyncio.create_task(transcode(limiter, 3, film, 1))
    large = asyncio.create_task(transcode(limiter, 3, film, 1))
    await steady()
    assert not await transcode(limiter, 8, film, 0.01)
    film.set()
    await asyncio.gather(small, large)
    await live(row(limiter._units, "Weighted._units", 10, "leaked", count=limiter.taken_in_vain))


asyncio.run(main())
