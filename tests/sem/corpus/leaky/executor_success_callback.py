"""Images are shrunk in a thread pool; the pool's callback gives the permit back when there was no error."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


def shrink(name: str) -> str:
    if name.endswith(".heic"):
        raise ValueError(f"{name}: unknown format")
    return name.replace(".", "-small.")


class Thumbnails:
    def __init__(self, threads: int, in_flight: int) -> None:
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="thumb")
        self.in_flight = asyncio.BoundedSemaphore(in_flight)
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Queue[str | None] = asyncio.Queue()

    async def submit(self, name: str) -> None:
        await self.in_flight.acquire()
        self.pool.submit(shrink, name).add_done_callback(self._finished)

    def _finished(self, future: Future[str]) -> None:
        if future.exception() is None:
            self.loop.call_soon_threadsafe(self._stored, future.result())
        else:
            self.loop.call_soon_threadsafe(self.done.put_nowait, None)

    def _stored(self, name: str) -> None:
        self.in_flight.release()
        self.done.put_nowait(name)


async def main() -> None:
    thumbnails = Thumbnails(2, 6)
    names = ["a.png", "b.heic", "c.jpg", "d.heic", "e.gif"]
    for name in names:
        await thumbnails.submit(name)
    made = [await thumbnails.done.get() for _ in names]
    await live(row(thumbnails.in_flight, "Thumbnails.in_flight", 6, "leaked", count=made.count(None)))


asyncio.run(main())
