"""pop_all() hands the clean-up to a new stack, which the importer then drops."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Source:
    def __init__(self, path: str) -> None:
        self.path, self.closed = path, False

    async def aclose(self) -> None:
        self.closed = True


class Importer:
    def __init__(self, parallel: int) -> None:
        self.turns = asyncio.BoundedSemaphore(parallel)
        self.sources: list[Source] = []
        self.kept = 0

    async def open(self, path: str) -> Source:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.turns)
            source = Source(path)
            stack.push_async_callback(source.aclose)
            await asyncio.sleep(0)
            if path.endswith(".tmp"):
                return source  # the stack closes it
            self.sources.append(source)
            stack.pop_all()  # "keep it open": but nobody keeps what will close it
            self.kept += 1
            return source


async def main() -> None:
    importer = Importer(3)
    for path in ("a.csv", "b.tmp", "c.csv", "d.tmp"):
        await importer.open(path)
    await live(row(importer.turns, "Importer.turns", 3, "leaked", count=importer.kept))


asyncio.run(main())
