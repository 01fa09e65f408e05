"""A slot class whose __aexit__ looks at the kind of error first: cancelled uploads keep their slot."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import TracebackType

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Slot:
    def __init__(self, slots: asyncio.BoundedSemaphore) -> None:
        self._slots = slots

    async def __aenter__(self) -> Slot:
        await self._slots.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, Exception):  # CancelledError is no Exception
            self._slots.release()


class Encoder:
    def __init__(self) -> None:
        self.slots = asyncio.BoundedSemaphore(5)

    async def encode(self, seconds: float) -> None:
        async with Slot(self.slots):
            await asyncio.sleep(seconds)
            if seconds == 0:
                raise ValueError("empty file")


async def main() -> None:
    encoder = Encoder()
    jobs = [asyncio.create_task(encoder.encode(seconds)) for seconds in (0.001, 0, 3600, 3600, 3600)]
    await asyncio.sleep(0.02)
    for job in jobs[2:4]:
        job.cancel()
    await asyncio.wait(jobs[:4])
    cancelled = sum(job.cancelled() for job in jobs[:4])
    assert [type(job.exception()) for job in jobs[:2]] == [type(None), ValueError]
    await live(row(encoder.slots, "Encoder.slots", 5, "leaked", count=cancelled, holders=1))


asyncio.run(main())
