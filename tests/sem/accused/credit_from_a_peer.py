"""Flow control: a peer grants credit as it likes, beyond what one began with."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row


class Credit:
    def __init__(self) -> None:
        self.left = asyncio.Semaphore(10)

    async def use(self) -> None:
        await self.left.acquire()

    def window_update(self, more: int) -> None:
        for _ in range(more):
            self.left.release()


class Mailbox:
    def __init__(self) -> None:
        self.letters, self.filled = ["welcome"], threading.Semaphore(1)

    def put(self, letter: str) -> None:
        self.letters.append(letter)
        self.filled.release()

    def take(self) -> str:
        self.filled.acquire()
        return self.letters.pop()


async def main() -> None:
    used, granted, box = Credit(), Credit(), Mailbox()
    for _ in range(4):
        await used.use()
        await granted.use()
    granted.window_update(20)
    for letter in "abc":
        box.put(letter)
    await live(
        row(used.left, "Credit.left", 10, "busy", holders=4),
        row(granted.left, "Credit.left", 10, "idle", allowed=("idle", "busy"), counter=True),
        row(box.filled, "Mailbox.filled", 1, "idle", allowed=("idle", "busy"), counter=True),
    )


asyncio.run(main())
