"""Errors kept for a report, with the frames that once held permits: each was given back."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Probe:
    def __init__(self, parallel: int) -> None:
        self.sockets = asyncio.BoundedSemaphore(parallel)
        self.report: list[bool | BaseException] = []

    async def check(self, host: str) -> bool:
        await self.sockets.acquire()
        try:
            port = int(host.rpartition(":")[2])
            await asyncio.sleep(0.001)
            return port == 443
        finally:
            self.sockets.release()

    async def sweep(self, hosts: list[str]) -> None:
        self.report.extend(await asyncio.gather(*map(self.check, hosts), return_exceptions=True))


async def main() -> None:
    probe = Probe(3)
    await probe.sweep(["db:5432", "www", "api:443", "cache", "mail:25", "ftp", "ssh"])
    assert sum(isinstance(line, ValueError) for line in probe.report) == 4
    await live(row(probe.sockets, "Probe.sockets", 3, "idle"))


asyncio.run(main())
