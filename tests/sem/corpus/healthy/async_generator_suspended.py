"""Async generators hold the permit in `async with`, suspended at yield, while their readers think."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Cursors:
    def __init__(self, limit: int) -> None:
        self._open = asyncio.BoundedSemaphore(limit)

    async def rows(self, table: str) -> AsyncIterator[str]:
        async with self._open:
            for n in range(100):
                yield f"{table} {n}"


async def export(cursors: Cursors, table: str, stop_at: int) -> int:
    count = 0
    rows = cursors.rows(table)
    async with aclosing(rows):  # type: ignore[type-var]
        async for _ in rows:
            count += 1
            if count == stop_at:
                break
            await asyncio.sleep(3600 if table == "events" and count == 3 else 0)
    return count


async def main() -> None:
    cursors = Cursors(3)
    slow = [asyncio.create_task(export(cursors, "events", 50)) for _ in range(2)]
    quick = await asyncio.gather(*(export(cursors, "users", stop) for stop in (5, 10, 1)))
    assert quick == [5, 10, 1]
    await live(row(cursors._open, "Cursors._open", 3, "busy", holders=sum(not task.done() for task in slow)))


asyncio.run(main())
