"""Tasks hold the permit over to_thread(): the coroutine waits, the work sits in another thread."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Archive:
    def __init__(self, drives: int) -> None:
        self._drives = asyncio.Semaphore(drives)
        self.reading = 0

    async def restore(self, tape: str, wound: threading.Event) -> str:
        async with self._drives:
            self.reading += 1
            try:
                return await asyncio.to_thread(self._read, tape, wound)
            finally:
                self.reading -= 1

    def _read(self, tape: str, wound: threading.Event) -> str:
        wound.wait()
        return tape.upper()


async def main() -> None:
    archive, wound, ready_tape = Archive(4), threading.Event(), threading.Event()
    ready_tape.set()
    slow = [asyncio.create_task(archive.restore(f"tape {n}", wound)) for n in range(2)]
    await asyncio.gather(*(archive.restore(f"disk {n}", ready_tape) for n in range(3)))
    await live(row(archive._drives, "Archive._drives", 4, "busy", holders=archive.reading))
    assert slow


asyncio.run(main())
