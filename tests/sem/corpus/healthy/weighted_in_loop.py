"""One frame takes several permits in a loop, as its job weighs, and gives them all back at its end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Encoder:
    def __init__(self, cores: int) -> None:
        self.cores = asyncio.BoundedSemaphore(cores)
        self.held = 0

    async def encode(self, film: str, weight: int, done: asyncio.Event) -> str:
        taken = 0
        try:
            for _ in range(weight):
                await self.cores.acquire()
                taken += 1
            self.held += taken
            await done.wait()
            return film
        finally:
            self.held -= taken
            for _ in range(taken):
                self.cores.release()


async def main() -> None:
    encoder, later, now = Encoder(12), asyncio.Event(), asyncio.Event()
    films = [
        asyncio.create_task(encoder.encode(film, weight, done))
        for film, weight, done in (("4k", 6, later), ("clip", 2, now), ("hd", 3, later), ("gif", 1, now))
    ]
    await asyncio.sleep(0)
    now.set()
    await asyncio.gather(films[1], films[3])
    await live(row(encoder.cores, "Encoder.cores", 12, "busy", holders=encoder.held))


asyncio.run(main())
