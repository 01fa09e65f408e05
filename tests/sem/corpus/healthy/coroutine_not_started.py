"""Coroutines that own a permit by argument lie in a backlog, not started; each returns its own later."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


async def deploy(service: str, permit: asyncio.Semaphore) -> None:
    try:
        await asyncio.sleep(0)
    finally:
        permit.release()


class Deployer:
    def __init__(self, planned: int) -> None:
        self.planned = asyncio.BoundedSemaphore(planned)
        self.backlog: deque[Coroutine[Any, Any, None]] = deque()
        self.window_open = asyncio.Event()

    async def plan(self, service: str) -> None:
        await self.planned.acquire()
        self.backlog.append(deploy(service, self.planned))

    async def run(self) -> None:
        while True:
            await self.window_open.wait()
            await self.backlog.popleft()
            if not self.backlog:
                self.window_open.clear()


async def main() -> None:
    deployer = Deployer(5)
    runner = asyncio.create_task(deployer.run(), name="deployer")
    await deployer.plan("gateway")
    deployer.window_open.set()
    await steady()
    for service in ("billing", "search", "mail"):
        await deployer.plan(service)
    await live(row(deployer.planned, "Deployer.planned", 5, "busy", holders=len(deployer.backlog)))
    runner.cancel()


asyncio.run(main())
