"""A batch importer loses every permit to bad rows; the rows that come after wait for ever."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class BadRow(ValueError):
    pass


def parse(line: str) -> dict[str, str]:
    if "," not in line:
        raise BadRow(line)
    key, value = line.split(",", 1)
    return {key: value}


class BatchImporter:
    def __init__(self, writers: int) -> None:
        self.writers = asyncio.BoundedSemaphore(writers)
        self.table: dict[str, str] = {}
        self.bad: list[str] = []

    async def load(self, line: str) -> None:
        await self.writers.acquire()
        record = parse(line)
        try:
            await asyncio.sleep(0)
            self.table.update(record)
        finally:
            self.writers.release()

    async def load_or_note(self, line: str) -> None:
        try:
            await self.load(line)
        except BadRow as error:
            self.bad.append(str(error))


async def main() -> None:
    importer = BatchImporter(5)
    lines = ["a,1", "b,2", *[f"broken {n}" for n in range(5)]]
    for line in lines:
        await importer.load_or_note(line)
    later = [asyncio.create_task(importer.load_or_note(f"k{n},v")) for n in range(4)]
    await steady()
    lost, waiting = len(importer.bad), sum(not task.done() for task in later)
    await live(row(importer.writers, "BatchImporter.writers", 5, "leaked", count=lost, waiters=waiting))


asyncio.run(main())
