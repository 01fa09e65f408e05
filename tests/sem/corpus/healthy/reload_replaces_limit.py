"""A reload put a new semaphore in place; earlier requests hold the old one, known to their frames alone."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Server:
    def __init__(self, limit: int) -> None:
        self.limit = asyncio.BoundedSemaphore(limit)
        self.inside = 0

    def reload(self, limit: int) -> None:
        self.limit = asyncio.BoundedSemaphore(limit)

    async def handle(self, stream: asyncio.Event) -> None:
        async with self.limit:
            self.inside += 1
            await stream.wait()
            self.inside -= 1


async def main() -> None:
    server, stream, short = Server(5), asyncio.Event(), asyncio.Event()
    before = [asyncio.create_task(server.handle(event)) for event in (stream, short, stream)]
    await steady()
    old = server.limit
    server.reload(2)
    short.set()
    await before[1]
    old_row = row(old, "Server.handle frames (before the reload)", 5, "busy", holders=server.inside)
    del old
    after = asyncio.create_task(server.handle(stream))
    await steady()
    await live(
        old_row, row(server.limit, "Server.limit", 2, "busy", holders=server.inside - old_row["holders"])
    )
    assert after


asyncio.run(main())
