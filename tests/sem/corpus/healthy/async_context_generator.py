"""asynccontextmanager generators hold permits for blocks that wait; others ended by errors and cancels."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Table:
    def __init__(self, writers: int) -> None:
        self._writers = asyncio.Semaphore(writers)
        self.writing = 0

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[list[str]]:
        await self._writers.acquire()
        self.writing += 1
        try:
            yield []
        finally:
            self.writing -= 1
            self._writers.release()


async def insert(table: Table, key: str, commit: asyncio.Event) -> None:
    async with table.writer() as batch:
        if not key:
            raise KeyError(key)
        batch.append(key)
        await commit.wait()


async def main() -> None:
    table, never = Table(3), asyncio.Event()
    cancelled = asyncio.create_task(insert(table, "x", never))
    inserts = [asyncio.create_task(insert(table, key, never)) for key in ("a", "", "b", "")]
    late = asyncio.create_task(asyncio.wait_for(insert(table, "y", never), 0.01))
    await steady()
    cancelled.cancel()
    await asyncio.wait([cancelled, late, inserts[1], inserts[3]])
    assert [type(task.exception()) for task in (inserts[1], inserts[3])] == [KeyError, KeyError]
    assert late.exception() is not None
    await live(row(table._writers, "Table._writers", 3, "busy", holders=table.writing))


asyncio.run(main())
