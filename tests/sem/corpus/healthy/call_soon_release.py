"""A hot path gives its permits back by call_soon and call_soon_threadsafe, a turn later."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Sensor:
    def __init__(self, pending: int) -> None:
        self._pending = asyncio.BoundedSemaphore(pending)
        self._loop = asyncio.get_running_loop()
        self.samples = 0
        self._from_thread: list[float] = []
        threading.Thread(target=self._bus, name="bus", daemon=True).start()

    def _bus(self) -> None:
        while True:
            time.sleep(0.002)
            while self._from_thread:
                self._from_thread.pop()
                self._loop.call_soon_threadsafe(self._pending.release)

    async def sample(self) -> None:
        await self._pending.acquire()
        self.samples += 1
        if self.samples % 2:
            self._loop.call_soon(self._pending.release)
        else:
            self._from_thread.append(self._loop.time())


async def poll(sensor: Sensor) -> None:
    while True:
        await sensor.sample()
        await asyncio.sleep(0.001)


async def main() -> None:
    sensor = Sensor(4)
    polls = [asyncio.create_task(poll(sensor)) for _ in range(3)]
    while sensor.samples < 20:
        await asyncio.sleep(0.002)
    allowed = ("idle", "busy", "saturated")
    await live(row(sensor._pending, "Sensor._pending", 4, "busy", allowed=allowed, working=True))
    assert polls


asyncio.run(main())
