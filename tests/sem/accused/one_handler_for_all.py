"""One object takes all answers and gives back a permit for each."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row


class Answers:
    def __init__(self, calls: asyncio.BoundedSemaphore) -> None:
        self._calls = calls

    def arrived(self, number: int) -> int:
        self._calls.release()
        return number


async def main() -> None:
    calls = asyncio.BoundedSemaphore(5)
    answers = Answers(calls)
    for _ in range(3):
        await calls.acquire()
    await live(row(calls, "calls", 5, "busy", holders=3))
    assert answers


asyncio.run(main())
