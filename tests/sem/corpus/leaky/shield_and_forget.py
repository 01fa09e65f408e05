"""wait_for(shield(acquire())): the caller gives up, the acquire goes on and takes one for nobody."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Camera:
    def __init__(self) -> None:
        self.viewers = asyncio.Semaphore(3)
        self.gave_up = 0

    async def try_enter(self, patience_s: float) -> bool:
        try:
            await asyncio.wait_for(asyncio.shield(self.viewers.acquire()), patience_s)
        except (asyncio.TimeoutError, TimeoutError):
            self.gave_up += 1
            return False
        return True

    async def watch(self, until: asyncio.Event, patience_s: float) -> None:
        if await self.try_enter(patience_s):
            try:
                await until.wait()
            finally:
                self.viewers.release()


async def main() -> None:
    camera, over = Camera(), asyncio.Event()
    first = [asyncio.create_task(camera.watch(over, 5)) for _ in range(3)]
    await asyncio.sleep(0)
    late = [asyncio.create_task(camera.watch(over, 0.01)) for _ in range(2)]
    await asyncio.gather(*late)
    over.set()
    await asyncio.gather(*first)
    await steady()
    await live(row(camera.viewers, "Camera.viewers", 3, "leaked", count=camera.gave_up))


asyncio.run(main())
