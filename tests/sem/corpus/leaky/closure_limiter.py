"""A limiter made of closures: the cached path leaves without giving the permit back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import Row, live, row

Geocode = Callable[[str], Awaitable[tuple[float, float]]]


def make_geocoder(parallel: int) -> tuple[Geocode, Callable[[], Row]]:
    turn = asyncio.BoundedSemaphore(parallel)
    cache: dict[str, tuple[float, float]] = {}
    hits = 0

    async def geocode(address: str) -> tuple[float, float]:
        nonlocal hits
        await turn.acquire()
        if address in cache:
            hits += 1
            return cache[address]
        await asyncio.sleep(0.001)
        cache[address] = (float(len(address)), 0.0)
        turn.release()
        return cache[address]

    def claim() -> Row:
        return row(turn, "make_geocoder.<locals>.turn", parallel, "leaked", count=hits)

    return geocode, claim


async def main() -> None:
    geocode, claim = make_geocoder(4)
    for address in ("1 High Street", "2 Mill Lane", "1 High Street", "9 Quay"):
        await geocode(address)
    await live(claim())


asyncio.run(main())
