"""A session enters the limit through an AsyncExitStack that it keeps until stop()."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row

SESSIONS = asyncio.BoundedSemaphore(4)


class Session:
    def __init__(self, user: str) -> None:
        self.user = user
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(SESSIONS)
            await asyncio.sleep(0)
            if self.user == "banned":
                raise PermissionError(self.user)
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        await self._stack.aclose()


class Chat:
    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}

    async def join(self, user: str) -> bool:
        session = Session(user)
        try:
            await session.start()
        except PermissionError:
            return False
        self.sessions[user] = session
        return True

    async def part(self, user: str) -> None:
        await self.sessions.pop(user).stop()


async def main() -> None:
    chat = Chat()
    for user in ("ada", "banned", "bob", "eve"):
        await chat.join(user)
    await chat.part("bob")
    await live(row(SESSIONS, "SESSIONS", 4, "busy", holders=len(chat.sessions)))


asyncio.run(main())
