"""Permits of several semaphores are taken by gather and given back in a comprehension."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row

GATES = [asyncio.BoundedSemaphore(3) for _ in range(3)]


async def cross() -> None:
    await asyncio.gather(*(gate.acquire() for gate in GATES))
    try:
        await asyncio.sleep(600)
    finally:
        [gate.release() for gate in GATES]  # type: ignore[func-returns-value]


async def main() -> None:
    task = asyncio.create_task(cross())
    await asyncio.sleep(0.05)
    await live(*(row(gate, "GATES[...]", 3, "busy", holders=1) for gate in GATES))
    assert task


asyncio.run(main())
