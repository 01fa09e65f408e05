"""An asynccontextmanager without a finally: an error in the block goes past the release."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady

WRITERS = asyncio.BoundedSemaphore(5)


@asynccontextmanager
async def writer(table: str) -> AsyncIterator[list[str]]:
    await WRITERS.acquire()
    batch: list[str] = []
    yield batch
    await asyncio.sleep(0)
    WRITERS.release()


class DuplicateKey(Exception):
    pass


async def insert(table: str, keys: list[str], commit: asyncio.Event) -> None:
    async with writer(table) as batch:
        for key in keys:
            if key in batch:
                raise DuplicateKey(key)
            batch.append(key)
        await commit.wait()


async def main() -> None:
    now, later = asyncio.Event(), asyncio.Event()
    now.set()
    plan = [(["a", "b"], now), (["a", "a"], now), (["c"], later), (["d", "e", "d"], now)]
    inserts = [asyncio.create_task(insert("users", keys, commit)) for keys, commit in plan]
    await steady()
    ended = [task for task in inserts if task.done()]
    lost = sum(isinstance(task.exception(), DuplicateKey) for task in ended)
    await live(row(WRITERS, "WRITERS", 5, "leaked", count=lost, holders=len(inserts) - len(ended)))


asyncio.run(main())
