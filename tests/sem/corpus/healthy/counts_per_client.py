"""Permits noted as a number for each client: no object stands for one; a disconnect returns them all."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Broker:
    def __init__(self, unacked: int) -> None:
        self._window = asyncio.BoundedSemaphore(unacked)
        self._unacked: Counter[str] = Counter()

    async def deliver(self, client: str) -> None:
        await self._window.acquire()
        self._unacked[client] += 1

    def ack(self, client: str) -> None:
        self._unacked[client] -= 1
        self._window.release()

    def disconnected(self, client: str) -> None:
        for _ in range(self._unacked.pop(client, 0)):
            self._window.release()


async def main() -> None:
    broker = Broker(10)
    for client in ("ada", "bob", "ada", "eve", "bob", "ada"):
        await broker.deliver(client)
    broker.ack("ada")
    broker.disconnected("bob")
    held = broker._unacked.total()
    await live(row(broker._window, "Broker._window", 10, "busy", holders=held))


asyncio.run(main())
