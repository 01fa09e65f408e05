"""Semaphore(0) as a signal: a producer releases for each file, the consumer will take them later."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Folder:
    def __init__(self) -> None:
        self.arrived = asyncio.Semaphore(0)
        self.names: list[str] = []
        self.open_hours = asyncio.Event()
        self.read: list[str] = []

    def drop(self, name: str) -> None:
        self.names.append(name)
        self.arrived.release()

    async def consume(self) -> None:
        while True:
            await self.arrived.acquire()
            self.read.append(self.names.pop(0))
            await self.open_hours.wait()


async def main() -> None:
    folder = Folder()
    consumer = asyncio.create_task(folder.consume())
    for n in range(5):
        folder.drop(f"{n}.edi")
    await steady()
    await live(
        row(
            folder.arrived, "Folder.arrived", 0, "idle", counter=True, allowed=("idle", "busy", "saturated"),
            note=f"{len(folder.names)} signals not yet taken; the one taken is never to be given back",
        ),
    )  # fmt: skip
    consumer.cancel()


asyncio.run(main())
