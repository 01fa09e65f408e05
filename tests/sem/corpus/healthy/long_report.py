"""One permit held for as long as the report takes, by a task that sleeps deep in its calls."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Reports:
    def __init__(self) -> None:
        self._at_once = asyncio.BoundedSemaphore(3)
        self.stages: list[str] = []

    async def yearly(self) -> str:
        async with self._at_once:
            return await self._collect("yearly")

    async def _collect(self, name: str) -> str:
        self.stages.append(name)
        return await self._warehouse(f"select * from {name}")

    async def _warehouse(self, sql: str) -> str:
        await asyncio.sleep(7200)
        return sql


async def main() -> None:
    reports = Reports()
    task = asyncio.create_task(reports.yearly(), name="yearly report")
    await steady()
    await live(row(reports._at_once, "Reports._at_once", 3, "busy", holders=len(reports.stages)))
    task.cancel()


asyncio.run(main())
