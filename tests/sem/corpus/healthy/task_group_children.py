"""Children of a TaskGroup (of gather before 3.11) hold permits; a sibling's error was handled inside it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Importer:
    def __init__(self, parallel: int) -> None:
        self.parallel = asyncio.BoundedSemaphore(parallel)
        self.inside: set[str] = set()
        self.failed: list[str] = []

    async def load(self, part: str) -> None:
        async with self.parallel:
            self.inside.add(part)
            try:
                if part.startswith("bad"):
                    raise ValueError(part)
                await asyncio.sleep(3600 if part.startswith("big") else 0)
            except ValueError:
                self.failed.append(part)
            finally:
                self.inside.discard(part)

    async def run(self, parts: list[str]) -> None:
        if sys.version_info >= (3, 11):
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(self.load(part))
        else:
            await asyncio.gather(*map(self.load, parts))


async def main() -> None:
    importer = Importer(3)
    job = asyncio.create_task(importer.run(["small-1", "bad-1", "big-1", "bad-2", "small-2", "big-2"]))
    await steady()
    await live(row(importer.parallel, "Importer.parallel", 3, "busy", holders=len(importer.inside)))
    job.cancel()


asyncio.run(main())
