"""A middleware notes the permit in a context variable; a hook at the end of the request gives it back."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady

on_end: contextvars.ContextVar[list[Callable[[], None]]] = contextvars.ContextVar("on_end")


class App:
    def __init__(self, limit: int) -> None:
        self.limit = asyncio.BoundedSemaphore(limit)
        self.serving = 0

    async def admit(self) -> None:
        await self.limit.acquire()
        on_end.get().append(self.limit.release)

    async def handle(self, path: str) -> int:
        on_end.set([])
        await self.admit()
        self.serving += 1
        try:
            return await self.view(path)
        finally:
            self.serving -= 1
            for hook in reversed(on_end.get()):
                hook()

    async def view(self, path: str) -> int:
        await asyncio.sleep(3600 if path == "/events" else 0)
        return 200


async def main() -> None:
    app = App(4)
    requests = [asyncio.create_task(app.handle(path)) for path in ("/", "/events", "/about", "/events", "/")]
    await steady()
    await live(row(app.limit, "App.limit", 4, "busy", holders=app.serving))
    assert requests


asyncio.run(main())
