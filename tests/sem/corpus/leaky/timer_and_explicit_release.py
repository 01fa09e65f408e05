"""A booking is given back by its timer and again by the customer who paid, whose timer nobody stopped."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Bookings:
    def __init__(self, seats: int) -> None:
        self.seats = asyncio.Semaphore(seats)
        self.expired: list[str] = []
        self.open: set[str] = set()

    async def hold(self, name: str, seconds: float) -> None:
        await self.seats.acquire()
        self.open.add(name)
        asyncio.get_running_loop().call_later(seconds, self._expire, name)

    def _expire(self, name: str) -> None:
        self.open.discard(name)
        self.expired.append(name)
        self.seats.release()

    def cancel(self, name: str) -> None:
        self.open.discard(name)
        self.seats.release()


async def main() -> None:
    bookings = Bookings(6)
    await bookings.hold("ada", 900)
    cancelled = ["bob", "eve"]
    for name in (*cancelled, "joe"):
        await bookings.hold(name, 0.01)
    for name in cancelled:
        bookings.cancel(name)
    while len(bookings.expired) < 3:
        await asyncio.sleep(0.002)
    twice = len(set(cancelled) & set(bookings.expired))
    held = len(bookings.open)
    await live(row(bookings.seats, "Bookings.seats", 6, "over-released", count=twice, holders=held))


asyncio.run(main())
