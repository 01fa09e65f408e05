"""A semaphore for each host: one host's are all lost to redirects, the others are idle or in use."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady

PER_HOST = 2


class Downloader:
    def __init__(self) -> None:
        self.hosts: dict[str, asyncio.BoundedSemaphore] = {}
        self.moved = {"old.example": "new.example"}

    def limit(self, host: str) -> asyncio.BoundedSemaphore:
        if host not in self.hosts:
            self.hosts[host] = asyncio.BoundedSemaphore(PER_HOST)
        return self.hosts[host]

    async def get(self, host: str, path: str) -> str:
        await self.limit(host).acquire()
        while host in self.moved:
            await asyncio.sleep(0)
            host = self.moved[host]  # from here on it is another host's permit
            await self.limit(host).acquire()
        try:
            await asyncio.sleep(3600 if path == "/stream" else 0)
            return f"{host}{path}"
        finally:
            self.limit(host).release()


async def main() -> None:
    downloader = Downloader()
    for path in ("/a", "/b"):
        await downloader.get("old.example", path)
    await downloader.get("new.example", "/c")
    streams = [asyncio.create_task(downloader.get("radio.example", "/stream"))]
    blocked = [asyncio.create_task(downloader.get("old.example", f"/{n}")) for n in range(3)]
    await steady()
    hosts = downloader.hosts
    await live(
        row(
            hosts["old.example"],
            "Downloader.hosts['old.example']",
            2,
            "leaked",
            count=2,
            waiters=len(blocked),
        ),
        row(hosts["new.example"], "Downloader.hosts['new.example']", 2, "idle"),
        row(hosts["radio.example"], "Downloader.hosts['radio.example']", 2, "busy", holders=len(streams)),
    )


asyncio.run(main())
