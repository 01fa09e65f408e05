"""The last act of threads and timers is to have the loop give a permit back."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row


class Bridge:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.crossing, self.audits = asyncio.BoundedSemaphore(5), asyncio.BoundedSemaphore(5)

    async def start(self) -> None:
        await self.crossing.acquire()
        threading.Thread(target=self._cross, daemon=True).start()

    def _cross(self) -> None:
        time.sleep(600)
        self.loop.call_soon_threadsafe(self.crossing.release)

    async def pay(self) -> None:
        await self.audits.acquire()
        self.loop.call_later(600, self._audit)

    def _audit(self) -> None:
        self.loop.call_soon(self.audits.release)


async def main() -> None:
    bridge = Bridge()
    for _ in range(2):
        await bridge.start()
        await bridge.pay()
    await live(
        row(bridge.crossing, "Bridge.crossing", 5, "busy", holders=2),
        row(bridge.audits, "Bridge.audits", 5, "busy", holders=2),
    )


asyncio.run(main())
