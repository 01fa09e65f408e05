"""A semaphore for each host in a dict: one saturated with a line, one in use, one idle."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row

PER_HOST = 2


class Fetcher:
    def __init__(self) -> None:
        self.hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(PER_HOST))
        self.body = asyncio.Event()

    async def get(self, host: str, path: str) -> str:
        async with self.hosts[host]:
            if path.endswith(".iso"):
                await self.body.wait()
            return path


async def main() -> None:
    fetcher = Fetcher()
    plan = [("mirror.example", f"/{n}.iso") for n in range(5)] + [
        ("lab.example", "/x.iso"),
        ("www.example", "/"),
    ]
    tasks = [asyncio.create_task(fetcher.get(host, path)) for host, path in plan]
    await asyncio.wait(tasks, timeout=0.02)
    hosts = fetcher.hosts
    await live(
        row(hosts["mirror.example"], "Fetcher.hosts['mirror.example']", 2, "saturated", holders=2, waiters=3),
        row(hosts["lab.example"], "Fetcher.hosts['lab.example']", 2, "busy", holders=1),
        row(hosts["www.example"], "Fetcher.hosts['www.example']", 2, "idle"),
    )


asyncio.run(main())
