"""A paging generator returns its permit after the last page: stop early, and it is closed at a yield."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Directory:
    def __init__(self) -> None:
        self._searches = asyncio.BoundedSemaphore(6)
        self.completed = 0

    async def pages(self, query: str) -> AsyncIterator[list[str]]:
        await self._searches.acquire()
        for number in range(3):
            await asyncio.sleep(0)
            yield [f"{query}-{number}-{entry}" for entry in range(2)]
        self._searches.release()
        self.completed += 1


async def find(directory: Directory, query: str, name: str) -> str | None:
    async for page in directory.pages(query):
        for entry in page:
            if entry == name:
                return entry
    return None


async def main() -> None:
    directory = Directory()
    wanted = (("uid", "uid-0-1"), ("mail", "nobody"), ("cn", "cn-1-0"), ("ou", "nothing"), ("dc", "dc-0-0"))
    for query, name in wanted:
        await find(directory, query, name)
    await steady()  # asyncio closes the generators that were left
    lost = len(wanted) - directory.completed
    await live(row(directory._searches, "Directory._searches", 6, "leaked", count=lost))


asyncio.run(main())
