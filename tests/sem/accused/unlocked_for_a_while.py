"""A holder gives its permit back while it sleeps and takes it again before it goes on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row


@asynccontextmanager
async def unlocked(stage: asyncio.Semaphore) -> AsyncIterator[None]:
    stage.release()
    try:
        yield
    finally:
        await stage.acquire()


class Aside:
    def __init__(self, stage: asyncio.Semaphore) -> None:
        self._stage = stage

    async def __aenter__(self) -> None:
        self._stage.release()

    async def __aexit__(self, *_: object) -> None:
        await self._stage.acquire()


async def act(stage: asyncio.Semaphore, way: str) -> None:
    async with stage:
        if way == "block":
            async with unlocked(stage):
                await asyncio.sleep(600)
        elif way == "object":
            async with Aside(stage):
                await asyncio.sleep(600)
        else:
            stage.release()
            try:
                await asyncio.sleep(600)
            finally:
                await stage.acquire()


async def main() -> None:
    stages = {way: asyncio.BoundedSemaphore(3) for way in ("block", "object", "plain")}
    tasks = [asyncio.create_task(act(stage, way)) for way, stage in stages.items()]
    await asyncio.sleep(0.05)
    rows = [
        row(stage, f"stages[{way!r}]", 3, "idle", allowed=("idle", "busy")) for way, stage in stages.items()
    ]
    await live(*rows)
    assert tasks


asyncio.run(main())
