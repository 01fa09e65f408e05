"""Permits travel with messages in an outbox; a reconnect makes a new outbox and forgets the old one."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Message:
    def __init__(self, text: str, credit: asyncio.BoundedSemaphore) -> None:
        self.text = text
        self._credit = credit

    def sent(self) -> None:
        self._credit.release()


class Link:
    def __init__(self, in_flight: int) -> None:
        self.credit = asyncio.BoundedSemaphore(in_flight)
        self.outbox: asyncio.Queue[Message] = asyncio.Queue()
        self.up = asyncio.Event()

    async def publish(self, text: str) -> None:
        await self.credit.acquire()
        await self.outbox.put(Message(text, self.credit))

    async def pump(self) -> None:
        while True:
            await self.up.wait()
            message = await self.outbox.get()
            message.sent()

    def reconnect(self) -> int:
        stale = self.outbox.qsize()
        self.outbox = asyncio.Queue()
        return stale


async def main() -> None:
    link = Link(6)
    pump = asyncio.create_task(link.pump())
    for n in range(5):
        await link.publish(f"price {n}")
    lost = link.reconnect()
    link.up.set()
    for n in range(20):
        await link.publish(f"late price {n}")
        while link.outbox.qsize():
            await asyncio.sleep(0)
    await live(row(link.credit, "Link.credit", 6, "leaked", count=lost))
    pump.cancel()


asyncio.run(main())
