"""A permit as a named tuple with the bound method that returns it, in a dict inside a dict."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Ticket(NamedTuple):
    job: str
    give_back: Callable[[], None]


class Cluster:
    def __init__(self, slots: int) -> None:
        self.slots = asyncio.Semaphore(slots)
        self.by_user: dict[str, dict[str, Ticket]] = {}

    async def submit(self, user: str, job: str) -> None:
        await self.slots.acquire()
        self.by_user.setdefault(user, {})[job] = Ticket(job, self.slots.release)

    def finished(self, user: str, job: str) -> None:
        self.by_user[user].pop(job).give_back()


async def main() -> None:
    cluster = Cluster(8)
    for user, job in (("ada", "fit"), ("ada", "plot"), ("bob", "fit"), ("eve", "scan"), ("eve", "fit")):
        await cluster.submit(user, job)
    cluster.finished("ada", "plot")
    cluster.finished("eve", "scan")
    held = sum(map(len, cluster.by_user.values()))
    await live(row(cluster.slots, "Cluster.slots", 8, "busy", holders=held))


asyncio.run(main())
