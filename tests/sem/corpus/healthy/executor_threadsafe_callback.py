"""Jobs in a thread pool whose callback has the loop give the permit back. Two jobs still run."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


def convert(name: str, tape: threading.Event) -> str:
    if name.endswith(".vhs"):
        tape.wait()
    if name.endswith(".bad"):
        raise ValueError(name)
    return name


class Converter:
    def __init__(self, threads: int) -> None:
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="convert")
        self.slots = asyncio.BoundedSemaphore(threads)
        self.loop = asyncio.get_running_loop()
        self.running: set[str] = set()

    async def submit(self, name: str, tape: threading.Event) -> None:
        await self.slots.acquire()
        self.running.add(name)

        def returned(_future: Future[str]) -> None:
            self.loop.call_soon_threadsafe(self._finished, name)

        self.pool.submit(convert, name, tape).add_done_callback(returned)

    def _finished(self, name: str) -> None:
        self.running.discard(name)
        self.slots.release()


async def main() -> None:
    converter, tape = Converter(4), threading.Event()
    for name in ("a.mp4", "b.vhs", "c.bad", "d.vhs", "e.mp4"):
        await converter.submit(name, tape)
    while len(converter.running) > 2:
        await asyncio.sleep(0.002)
    await live(row(converter.slots, "Converter.slots", 4, "busy", holders=len(converter.running)))


asyncio.run(main())
