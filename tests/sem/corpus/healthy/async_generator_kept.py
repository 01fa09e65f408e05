"""Cursors as async generators in a dict, suspended inside `async with`: no frame waits, close() ends them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Cursors:
    def __init__(self, limit: int) -> None:
        self._limit = asyncio.BoundedSemaphore(limit)
        self._open: dict[str, AsyncGenerator[int, None]] = {}

    async def _rows(self) -> AsyncGenerator[int, None]:
        async with self._limit:
            for number in range(1000):
                yield number

    async def fetch(self, name: str, count: int) -> list[int]:
        rows = self._open.get(name) or self._rows()
        self._open[name] = rows
        return [await rows.__anext__() for _ in range(count)]

    async def close(self, name: str) -> None:
        await self._open.pop(name).aclose()


async def main() -> None:
    cursors = Cursors(4)
    for name in ("orders", "users", "events"):
        assert await cursors.fetch(name, 3) == [0, 1, 2]
    assert await cursors.fetch("users", 2) == [3, 4]
    await cursors.close("orders")
    held = len(cursors._open)
    await live(row(cursors._limit, "Cursors._limit", 4, "busy", holders=held))


asyncio.run(main())
