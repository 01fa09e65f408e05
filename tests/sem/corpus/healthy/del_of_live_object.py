"""__del__ of a handle gives the permit back; two handles live in a table, the others have gone properly."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Handle:
    def __init__(self, files: Files, path: str) -> None:
        self._files, self.path = files, path

    def __del__(self) -> None:
        self._files.descriptors.release()


class Files:
    def __init__(self, limit: int) -> None:
        self.descriptors = asyncio.BoundedSemaphore(limit)

    async def open(self, path: str) -> Handle:
        await self.descriptors.acquire()
        return Handle(self, path)


class Tail:
    def __init__(self, files: Files) -> None:
        self.files = files
        self.followed: dict[str, Handle] = {}

    async def follow(self, path: str) -> None:
        self.followed[path] = await self.files.open(path)

    async def size(self, path: str) -> int:
        return len((await self.files.open(path)).path)


async def main() -> None:
    files = Files(3)
    tail = Tail(files)
    for path in ("app.log", "db.log"):
        await tail.follow(path)
    for n in range(5):
        await tail.size(f"old.log.{n}")
    await live(row(files.descriptors, "Files.descriptors", 3, "busy", holders=len(tail.followed)))


asyncio.run(main())
