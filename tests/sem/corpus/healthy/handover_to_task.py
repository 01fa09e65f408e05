"""A listener takes the permit, the task it starts gives it back: only an argument links the two."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Listener:
    def __init__(self, sessions: int) -> None:
        self.sessions = asyncio.BoundedSemaphore(sessions)
        self.open: set[asyncio.Task[None]] = set()

    async def accept(self, peer: str) -> None:
        await self.sessions.acquire()
        task = asyncio.create_task(serve(peer, self.sessions), name=peer)
        self.open.add(task)
        task.add_done_callback(self.open.discard)


async def serve(peer: str, permit: asyncio.Semaphore) -> None:
    try:
        await asyncio.sleep(3600 if peer.startswith("tv") else 0)
    finally:
        permit.release()


async def main() -> None:
    listener = Listener(6)
    for peer in ("tv-1", "phone-1", "tv-2", "phone-2", "tv-3"):
        await listener.accept(peer)
    await steady()
    await live(row(listener.sessions, "Listener.sessions", 6, "busy", holders=len(listener.open)))


asyncio.run(main())
