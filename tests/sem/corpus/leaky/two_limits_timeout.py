"""An order takes a seat and then a payment channel; a timeout on the second keeps the first."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Checkout:
    def __init__(self) -> None:
        self.seats = asyncio.BoundedSemaphore(5)
        self.payments = asyncio.BoundedSemaphore(1)
        self.card_entered = asyncio.Event()

    async def pay(self, order: int) -> None:
        async with self.payments:
            await self.card_entered.wait()

    async def order(self, number: int, patience_s: float | None) -> str:
        await self.seats.acquire()
        try:
            await asyncio.wait_for(self.pay(number), patience_s)
        except (asyncio.TimeoutError, TimeoutError):
            return "timed out"
        self.seats.release()
        return "paid"


async def main() -> None:
    checkout = Checkout()
    first = asyncio.create_task(checkout.order(1, None))
    await asyncio.sleep(0)
    rest = await asyncio.gather(*(checkout.order(n, 0.01) for n in (2, 3)))
    await live(
        row(
            checkout.seats,
            "Checkout.seats",
            5,
            "leaked",
            count=rest.count("timed out"),
            holders=int(not first.done()),
        ),
        row(checkout.payments, "Checkout.payments", 1, "saturated", holders=1, allowed=("busy", "saturated")),
    )


asyncio.run(main())
