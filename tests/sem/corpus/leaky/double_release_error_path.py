"""The error path gives the permit back, and so does the finally under it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Declined(Exception):
    pass


class Payments:
    def __init__(self) -> None:
        self._channels = asyncio.Semaphore(3)
        self.declined = 0

    async def _charge(self, cents: int) -> str:
        await asyncio.sleep(0)
        if cents > 1000:
            raise Declined(cents)
        return "ok"

    async def charge(self, cents: int) -> str:
        await self._channels.acquire()
        try:
            return await self._charge(cents)
        except Declined:
            self.declined += 1
            self._channels.release()
            return "declined"
        finally:
            self._channels.release()


async def main() -> None:
    payments = Payments()
    await asyncio.gather(*(payments.charge(cents) for cents in (500, 2000, 700, 9000)))
    await live(row(payments._channels, "Payments._channels", 3, "over-released", count=payments.declined))


asyncio.run(main())
