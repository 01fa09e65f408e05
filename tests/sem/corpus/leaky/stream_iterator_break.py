"""An iterator class returns its permit at the end of the stream; a reader that breaks off loses it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Stream:
    def __init__(self, limit: asyncio.BoundedSemaphore, lines: int) -> None:
        self._limit, self._left, self._begun = limit, lines, False

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> str:
        if not self._begun:
            await self._limit.acquire()
            self._begun = True
        if self._left == 0:
            self._limit.release()
            raise StopAsyncIteration
        self._left -= 1
        await asyncio.sleep(0)
        return f"line {self._left}"


class LogApi:
    def __init__(self) -> None:
        self._streams = asyncio.BoundedSemaphore(4)

    def tail(self, lines: int) -> Stream:
        return Stream(self._streams, lines)


async def grep(api: LogApi, word: str, lines: int) -> bool:
    async for line in api.tail(lines):
        if word in line:
            return True
    return False


async def main() -> None:
    api = LogApi()
    found = [await grep(api, word, 5) for word in ("line 3", "panic", "line 1", "oom")]
    await live(row(api._streams, "LogApi._streams", 4, "leaked", count=found.count(True)))


asyncio.run(main())
