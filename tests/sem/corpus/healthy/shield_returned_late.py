"""wait_for(shield(acquire)): who gives up leaves a callback that returns the permit when it comes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Camera:
    def __init__(self) -> None:
        self.viewers = asyncio.Semaphore(3)
        self.watching = 0
        self.returned_late = 0

    def _return_late(self, acquiring: asyncio.Task[bool]) -> None:
        if not acquiring.cancelled():
            self.returned_late += 1
            self.viewers.release()

    async def try_enter(self, patience_s: float) -> bool:
        acquiring: asyncio.Task[bool] = asyncio.ensure_future(self.viewers.acquire())
        try:
            await asyncio.wait_for(asyncio.shield(acquiring), patience_s)
        except (asyncio.TimeoutError, TimeoutError):
            acquiring.add_done_callback(self._return_late)
            return False
        return True

    async def watch(self, until: asyncio.Event, patience_s: float) -> None:
        if await self.try_enter(patience_s):
            self.watching += 1
            try:
                await until.wait()
            finally:
                self.watching -= 1
                self.viewers.release()


async def main() -> None:
    camera, over, never = Camera(), asyncio.Event(), asyncio.Event()
    first = [asyncio.create_task(camera.watch(until, 5)) for until in (over, over, never)]
    await steady()
    await asyncio.gather(*(camera.watch(over, 0.01) for _ in range(2)))
    over.set()
    await asyncio.gather(*first[:2])
    while camera.returned_late < 2:
        await asyncio.sleep(0.001)
    await live(row(camera.viewers, "Camera.viewers", 3, "busy", holders=camera.watching))


asyncio.run(main())
