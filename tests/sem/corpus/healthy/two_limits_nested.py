"""A seat and then a payment channel under one deadline; those whose time ran out gave both back."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Checkout:
    def __init__(self) -> None:
        self.seats = asyncio.BoundedSemaphore(5)
        self.payments = asyncio.BoundedSemaphore(2)
        self.card_entered = asyncio.Event()

    async def _order(self) -> None:
        async with self.seats, self.payments:
            await self.card_entered.wait()

    async def order(self, patience_s: float) -> bool:
        try:
            if sys.version_info >= (3, 11):
                async with asyncio.timeout(patience_s):
                    await self._order()
            else:
                await asyncio.wait_for(self._order(), patience_s)
        except (asyncio.TimeoutError, TimeoutError):
            return False
        return True


async def main() -> None:
    checkout = Checkout()
    slow = [asyncio.create_task(checkout.order(3600)) for _ in range(3)]
    await asyncio.sleep(0)
    hasty = [asyncio.create_task(checkout.order(0.01)) for _ in range(2)]
    assert await asyncio.gather(*hasty) == [False, False]
    await live(
        row(checkout.seats, "Checkout.seats", 5, "busy", holders=len(slow)),
        row(checkout.payments, "Checkout.payments", 2, "saturated", holders=2, waiters=1),
    )


asyncio.run(main())
