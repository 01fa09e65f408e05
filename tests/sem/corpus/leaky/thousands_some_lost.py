"""Two thousand short tasks, of which four lose their permits to a bad answer; forty more stay inside."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class BadAnswer(ValueError):
    pass


class Resolver:
    def __init__(self, sockets: int) -> None:
        self._sockets = asyncio.BoundedSemaphore(sockets)
        self.inside = 0

    def parse(self, number: int) -> int:
        if number % 500 == 499:
            raise BadAnswer(number)
        return number

    async def resolve(self, number: int, silent: asyncio.Event) -> int:
        await self._sockets.acquire()
        self.inside += 1
        if number >= 2000:
            await silent.wait()
        await asyncio.sleep(0)
        self.inside -= 1
        answer = self.parse(number)
        self._sockets.release()
        return answer


async def main() -> None:
    resolver, silent = Resolver(100), asyncio.Event()
    answers = await asyncio.gather(
        *(resolver.resolve(number, silent) for number in range(2000)), return_exceptions=True
    )
    bad = sum(isinstance(answer, BadAnswer) for answer in answers)
    del answers
    waiting = [asyncio.create_task(resolver.resolve(2000 + n, silent)) for n in range(40)]
    await steady()
    held = resolver.inside
    await live(row(resolver._sockets, "Resolver._sockets", 100, "leaked", count=bad, holders=held))
    assert waiting


asyncio.run(main())
