"""Steady traffic: permits taken and given all the time, with errors, timeouts and cancellations."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Backend:
    def __init__(self, limit: int) -> None:
        self._limit = asyncio.BoundedSemaphore(limit)
        self.dice = random.Random(7)
        self.served = 0

    async def call(self) -> None:
        async with self._limit:
            await asyncio.sleep(self.dice.uniform(0, 0.004))
            if self.dice.random() < 0.2:
                raise ConnectionResetError
            self.served += 1


async def client(backend: Backend) -> None:
    while True:
        try:
            await asyncio.wait_for(backend.call(), backend.dice.uniform(0.001, 0.01))
        except (ConnectionResetError, asyncio.TimeoutError, TimeoutError):
            await asyncio.sleep(0.001)


async def main() -> None:
    backend = Backend(5)
    clients = [asyncio.create_task(client(backend)) for _ in range(8)]
    while backend.served < 20:
        await asyncio.sleep(0.001)
    allowed = ("idle", "busy", "saturated")
    await live(row(backend._limit, "Backend._limit", 5, "busy", allowed=allowed, working=True))
    assert clients


asyncio.run(main())
