"""wait_for cuts an opening that already took its permit: the caller never learns that it has one."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Uploads:
    def __init__(self, limit: int, slow: set[str]) -> None:
        self._permits = asyncio.BoundedSemaphore(limit)
        self._slow = slow
        self.open_files: list[str] = []

    async def _open(self, name: str) -> str:
        await self._permits.acquire()
        await self._handshake(name)
        self.open_files.append(name)
        return name

    async def _handshake(self, name: str) -> None:
        await asyncio.sleep(60 if name in self._slow else 0)

    async def send(self, name: str, body: bytes, patience_s: float) -> int:
        try:
            upload = await asyncio.wait_for(self._open(name), patience_s)
        except (asyncio.TimeoutError, TimeoutError):
            return 504
        try:
            await asyncio.sleep(len(body) / 1e6)
            return 201
        finally:
            self.open_files.remove(upload)
            self._permits.release()


async def main() -> None:
    uploads = Uploads(4, slow={"b.iso", "d.iso"})
    patience_s = {"a.iso": 60, "b.iso": 0.02, "c.iso": 60, "d.iso": 0.02, "e.iso": 60}
    codes = await asyncio.gather(*(uploads.send(name, b"x" * 100, s) for name, s in patience_s.items()))
    lost = codes.count(504)
    await live(row(uploads._permits, "Uploads._permits", 4, "leaked", count=lost))


asyncio.run(main())
