"""A deadline around acquire and work together, and the release after the block: a slow call jumps over it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Translator:
    def __init__(self, engines: int) -> None:
        self.engines = asyncio.BoundedSemaphore(engines)
        self.late = 0

    async def _acquire_and_run(self, text: str) -> str:
        await self.engines.acquire()
        await asyncio.sleep(3600 if len(text) > 10 else 0)
        return text[::-1]

    async def translate(self, text: str, deadline_s: float) -> str | None:
        try:
            if sys.version_info >= (3, 11):
                async with asyncio.timeout(deadline_s):
                    result = await self._acquire_and_run(text)
            else:
                result = await asyncio.wait_for(self._acquire_and_run(text), deadline_s)
        except (asyncio.TimeoutError, TimeoutError):
            self.late += 1
            return None
        self.engines.release()
        return result


async def main() -> None:
    translator = Translator(4)
    assert await translator.translate("hello", 60) == "olleh"
    for _ in range(3):
        await translator.translate("a very long sentence", 0.01)
    assert await translator.translate("bye", 60) == "eyb"
    busy = asyncio.create_task(translator.translate("another very long sentence", 600))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    late = asyncio.create_task(translator.translate("hm", 600))
    await asyncio.sleep(0.01)
    held, waiting = int(not busy.done()), int(not late.done())
    count = translator.late
    await live(
        row(
            translator.engines, "Translator.engines", 4, "leaked", count=count, holders=held, waiters=waiting
        ),
    )


asyncio.run(main())
