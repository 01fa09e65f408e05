"""A pool begins with Semaphore(0): each worker that signs on adds a permit, signing off takes one away."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Pool:
    def __init__(self) -> None:
        self.workers: list[str] = []
        self._free = asyncio.Semaphore(0)
        self.busy = 0

    def sign_on(self, name: str) -> None:
        self.workers.append(name)
        self._free.release()

    async def sign_off(self, name: str) -> None:
        await self._free.acquire()
        self.workers.remove(name)

    async def job(self, reply: asyncio.Event) -> None:
        async with self._free:
            self.busy += 1
            await reply.wait()
            self.busy -= 1


async def main() -> None:
    pool, reply = Pool(), asyncio.Event()
    jobs = [asyncio.create_task(pool.job(reply))]
    for n in range(6):
        pool.sign_on(f"worker-{n}")
    await pool.sign_off("worker-0")
    jobs.append(asyncio.create_task(pool.job(reply)))
    await steady()
    await live(
        row(
            pool._free, "Pool._free", 0, "busy", holders=pool.busy, counter=True,
            note=f"{len(pool.workers)} workers are its limit now",
        ),
    )  # fmt: skip
    assert jobs


asyncio.run(main())
