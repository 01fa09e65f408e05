"""Many waiters gave up; those that hold go on, one still waits."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Exchange:
    def __init__(self) -> None:
        self.lines = asyncio.BoundedSemaphore(2)
        self.talking: set[str] = set()
        self.engaged = 0

    async def call(self, name: str, patience_s: float, hang_up: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(self.lines.acquire(), patience_s)
        except (asyncio.TimeoutError, TimeoutError):
            self.engaged += 1
            return
        try:
            self.talking.add(name)
            await hang_up.wait()
        finally:
            self.talking.discard(name)
            self.lines.release()


async def main() -> None:
    exchange, hang_up = Exchange(), asyncio.Event()
    first = [asyncio.create_task(exchange.call(f"first {n}", 60, hang_up)) for n in range(2)]
    await steady()
    patient = asyncio.create_task(exchange.call("patient", 3600, hang_up))
    hasty = [asyncio.create_task(exchange.call(f"hasty {n}", 0.01, hang_up)) for n in range(6)]
    await asyncio.gather(*hasty)
    assert exchange.engaged == 6
    held, waiting = len(exchange.talking), int(not patient.done())
    await live(row(exchange.lines, "Exchange.lines", 2, "saturated", holders=held, waiters=waiting))
    assert first


asyncio.run(main())
