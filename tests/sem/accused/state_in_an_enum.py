"""A connection gives back when it is closed, and knows by its state whether it has what to give."""

from __future__ import annotations

import asyncio
import enum
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row


class State(enum.Enum):
    NEW = 0
    OPEN = 1
    SHUT = 2


class Link:
    def __init__(self, ports: asyncio.BoundedSemaphore) -> None:
        self._ports, self.state, self.done = ports, State.NEW, False

    async def dial(self) -> None:
        await self._ports.acquire()
        self.state = State.OPEN
        self.done = True  # dialling is

    def hang_up(self) -> None:
        if self.state is State.OPEN:
            self.state = State.SHUT
            self._ports.release()


async def main() -> None:
    ports = asyncio.BoundedSemaphore(3)
    link = Link(ports)
    await link.dial()
    await live(row(ports, "ports", 3, "busy", holders=1))
    assert link


asyncio.run(main())
