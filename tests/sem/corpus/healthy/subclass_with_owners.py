"""A subclass that notes its owners and frees those that a health check names."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class OwnedSemaphore(asyncio.BoundedSemaphore):
    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.size = value
        self.owners: dict[str, float] = {}

    async def take(self, owner: str) -> None:
        await self.acquire()
        self.owners[owner] = asyncio.get_running_loop().time()

    def give(self, owner: str) -> None:
        if self.owners.pop(owner, None) is not None:
            self.release()


class Agents:
    def __init__(self) -> None:
        self.desks = OwnedSemaphore(5)

    async def login(self, name: str) -> None:
        await self.desks.take(name)

    def sweep(self, gone: set[str]) -> None:
        for name in gone:
            self.desks.give(name)


async def main() -> None:
    agents = Agents()
    for name in ("ada", "bob", "eve", "joe"):
        await agents.login(name)
    agents.sweep({"bob", "nobody"})
    agents.sweep({"bob"})
    held = len(agents.desks.owners)
    await live(row(agents.desks, "Agents.desks", 5, "busy", holders=held))


asyncio.run(main())
