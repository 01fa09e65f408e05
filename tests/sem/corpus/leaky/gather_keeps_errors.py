"""gather(return_exceptions=True) keeps errors, and with them the dead frames that took permits."""

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
        port = self.port_of(host)
        await asyncio.sleep(0.001)
        self.sockets.release()
        return port == 443

    def port_of(self, host: str) -> int:
        return int(host.rpartition(":")[2])

    async def sweep(self, hosts: list[str]) -> int:
        outcomes = await asyncio.gather(*map(self.check, hosts), return_exceptions=True)
        self.report.extend(outcomes)
        return sum(isinstance(outcome, ValueError) for outcome in outcomes)


async def main() -> None:
    probe = Probe(4)
    lost = await probe.sweep(["db:5432", "www", "api:443", "cache", "mail:25", "ftp"])
    await live(row(probe.sockets, "Probe.sockets", 4, "leaked", count=lost))


asyncio.run(main())
