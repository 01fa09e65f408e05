"""A gateway under steady traffic whose limit grew by two: client errors were given back twice at start-up."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Gateway:
    def __init__(self, upstreams: int) -> None:
        self._upstreams = asyncio.Semaphore(upstreams)
        self.rejected = 0

    async def forward(self, body: str, delay_s: float) -> int:
        async with self._upstreams:
            await asyncio.sleep(delay_s)
            if not body:
                self._reject()
                return 400
            return 200

    def _reject(self) -> None:
        self.rejected += 1
        self._upstreams.release()  # "the upstream was not used"


async def client(gateway: Gateway, number: int) -> None:
    while True:
        await gateway.forward("payload", 0.001 * (1 + number % 3))
        await asyncio.sleep(0.002)


async def main() -> None:
    gateway = Gateway(3)
    await asyncio.gather(*(gateway.forward(body, 0) for body in ("", "a", "", "b")))
    clients = [asyncio.create_task(client(gateway, n)) for n in range(8)]
    await asyncio.sleep(0.02)
    await live(
        row(
            gateway._upstreams, "Gateway._upstreams", 3, "over-released", count=gateway.rejected, working=True
        ),
    )
    assert clients


asyncio.run(main())
