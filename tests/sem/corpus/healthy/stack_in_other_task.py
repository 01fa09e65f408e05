"""A handshake task that has ended took the permit; the stack that returns it is in the pump's frame."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Relay:
    def __init__(self, circuits: int) -> None:
        self._circuits = asyncio.Semaphore(circuits)
        self.pumping = 0

    async def _handshake(self, peer: str) -> AsyncExitStack:
        stack = AsyncExitStack()
        await stack.enter_async_context(self._circuits)
        stack.callback(peer.upper)
        return stack

    async def _pump(self, opening: asyncio.Task[AsyncExitStack], seconds: float) -> None:
        async with await opening:
            self.pumping += 1
            await asyncio.sleep(seconds)
            self.pumping -= 1

    def connect(self, peer: str, seconds: float) -> asyncio.Task[None]:
        opening = asyncio.create_task(self._handshake(peer), name=f"handshake {peer}")
        return asyncio.create_task(self._pump(opening, seconds), name=f"pump {peer}")


async def main() -> None:
    relay = Relay(5)
    pumps = [relay.connect(f"10.0.0.{n}", seconds) for n, seconds in enumerate((3600, 0, 3600, 0))]
    await steady()
    await live(row(relay._circuits, "Relay._circuits", 5, "busy", holders=relay.pumping))
    assert pumps


asyncio.run(main())
