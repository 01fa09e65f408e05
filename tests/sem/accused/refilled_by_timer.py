"""A timer that sets itself again gives one permit back each time."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row


class Bucket:
    def __init__(self, tokens: int, every_s: float) -> None:
        self.tokens, self._every_s = asyncio.BoundedSemaphore(tokens), every_s
        self._loop = asyncio.get_running_loop()
        self._loop.call_later(every_s, self.refill)

    def refill(self) -> None:
        if self.tokens._value < 5:
            self.tokens.release()
        self._loop.call_later(self._every_s, self.refill)


async def main() -> None:
    bucket = Bucket(5, 600)
    for _ in range(4):
        await bucket.tokens.acquire()
    await live(row(bucket.tokens, "Bucket.tokens", 5, "busy", holders=4))


asyncio.run(main())
