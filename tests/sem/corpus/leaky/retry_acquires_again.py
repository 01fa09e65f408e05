"""Each retry takes a permit, the end gives one back: three retries lose three."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Throttled(Exception):
    pass


class ApiClient:
    def __init__(self, calls: int) -> None:
        self._inflight = asyncio.BoundedSemaphore(calls)
        self._failures = {"/invoices": 3, "/users": 0, "/orders": 1}
        self.retries = 0

    async def _send(self, path: str) -> str:
        await asyncio.sleep(0)
        if self._failures[path]:
            self._failures[path] -= 1
            raise Throttled(path)
        return f"200 {path}"

    async def get(self, path: str) -> str:
        for attempt in range(5):
            await self._inflight.acquire()
            try:
                answer = await self._send(path)
            except Throttled:
                self.retries += 1
                await asyncio.sleep(0.001 * 2**attempt)
                continue
            self._inflight.release()
            return answer
        raise Throttled(path)


async def main() -> None:
    client = ApiClient(9)
    await asyncio.gather(*(client.get(path) for path in ("/invoices", "/users", "/orders")))
    await client.get("/users")
    await live(row(client._inflight, "ApiClient._inflight", 9, "leaked", count=client.retries))


asyncio.run(main())
