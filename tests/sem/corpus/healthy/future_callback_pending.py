"""The release is a callback of a reply's Future that is not done yet; the caller has left long ago."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Rpc:
    def __init__(self, window: int) -> None:
        self._window = asyncio.BoundedSemaphore(window)
        self._replies: dict[int, asyncio.Future[str]] = {}

    async def send(self, number: int) -> None:
        """Sends and returns; the permit goes back when the reply comes, or when the link is closed."""
        await self._window.acquire()
        reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        reply.add_done_callback(self._answered)
        self._replies[number] = reply

    def _answered(self, reply: asyncio.Future[str]) -> None:
        self._window.release()

    def on_message(self, number: int, text: str) -> None:
        self._replies.pop(number).set_result(text)


async def main() -> None:
    rpc = Rpc(5)
    for number in range(5):
        await rpc.send(number)
    for number in (0, 3):
        rpc.on_message(number, "pong")
    await asyncio.sleep(0)
    await live(row(rpc._window, "Rpc._window", 5, "busy", holders=len(rpc._replies)))


asyncio.run(main())
