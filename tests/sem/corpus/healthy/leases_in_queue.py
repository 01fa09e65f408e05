"""Permits lie in a queue as items until a consumer, which waits for the network, gives them back."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Outgoing:
    def __init__(self, text: str, credit: asyncio.BoundedSemaphore) -> None:
        self.text, self.credit = text, credit


class Link:
    def __init__(self, in_flight: int) -> None:
        self.credit = asyncio.BoundedSemaphore(in_flight)
        self.outbox: asyncio.Queue[Outgoing] = asyncio.Queue()
        self.up = asyncio.Event()

    async def publish(self, text: str) -> None:
        await self.credit.acquire()
        self.outbox.put_nowait(Outgoing(text, self.credit))

    async def pump(self) -> None:
        while True:
            await self.up.wait()
            message = await self.outbox.get()
            message.credit.release()


async def main() -> None:
    link = Link(4)
    pump = asyncio.create_task(link.pump(), name="pump")
    for n in range(4):
        await link.publish(f"price {n}")
    late = asyncio.create_task(link.publish("price 4"))
    await steady()
    await live(
        row(
            link.credit,
            "Link.credit",
            4,
            "saturated",
            holders=link.outbox.qsize(),
            waiters=int(not late.done()),
        )
    )
    pump.cancel()


asyncio.run(main())
