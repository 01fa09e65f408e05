"""A gateway under steady traffic: two permits went with cancelled clients, the rest go round."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Gateway:
    def __init__(self, upstreams: int) -> None:
        self._upstreams = asyncio.BoundedSemaphore(upstreams)
        self.aborted = 0

    async def forward(self, delay_s: float) -> None:
        await self._upstreams.acquire()
        await asyncio.sleep(delay_s)
        self._upstreams.release()


async def client(gateway: Gateway, number: int) -> None:
    while True:
        await gateway.forward(0.001 * (1 + number % 3))
        await asyncio.sleep(0.002)


async def main() -> None:
    gateway = Gateway(7)
    for _ in range(2):
        request = asyncio.create_task(gateway.forward(10))
        await asyncio.sleep(0.001)
        request.cancel()  # the browser tab was closed
        await asyncio.wait([request])
        gateway.aborted += 1
    clients = [asyncio.create_task(client(gateway, n)) for n in range(4)]
    await asyncio.sleep(0.02)
    await live(
        row(gateway._upstreams, "Gateway._upstreams", 7, "leaked", count=gateway.aborted, working=True)
    )
    assert clients


asyncio.run(main())
