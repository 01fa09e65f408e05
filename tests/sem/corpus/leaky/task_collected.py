"""Fire-and-forget: nothing refers to a task that waits, so the collector ends it with its permit."""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Rpc:
    def __init__(self, window: int) -> None:
        self.window = asyncio.BoundedSemaphore(window)
        self.replies: dict[int, asyncio.Future[str]] = {}
        self.sent = 0

    async def call(self, number: int, reply: asyncio.Future[str]) -> str:
        await self.window.acquire()
        self.sent += 1
        answer = await reply
        self.window.release()
        return answer

    def notify(self, number: int) -> None:
        """Starts a call whose reply is of no interest: nobody can ever set this future."""
        asyncio.create_task(self.call(number, asyncio.get_running_loop().create_future()))  # noqa: RUF006

    def ask(self, number: int) -> asyncio.Task[str]:
        self.replies[number] = asyncio.get_running_loop().create_future()
        return asyncio.create_task(self.call(number, self.replies[number]))


async def main() -> None:
    rpc = Rpc(6)
    asked = [rpc.ask(1), rpc.ask(2)]
    rpc.notify(3)
    rpc.notify(4)
    await steady()
    rpc.replies.pop(1).set_result("pong")
    await asked[0]
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    gc.collect()
    await steady()
    held = len(rpc.replies)
    await live(row(rpc.window, "Rpc.window", 6, "leaked", count=rpc.sent - 1 - held, holders=held))


asyncio.run(main())
