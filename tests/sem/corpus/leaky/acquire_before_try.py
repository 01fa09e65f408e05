"""An API client signs the request between acquire and try: an expired key loses permits."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class ExpiredKey(Exception):
    pass


class Signer:
    def __init__(self, valid: int) -> None:
        self.valid = valid

    def sign(self, path: str) -> str:
        if self.valid == 0:
            raise ExpiredKey(path)
        self.valid -= 1
        return f"{path}?signature={self.valid}"


class ApiClient:
    def __init__(self, signer: Signer) -> None:
        self.concurrency = asyncio.Semaphore(10)
        self.signer = signer

    async def get(self, path: str) -> str:
        await self.concurrency.acquire()
        signed = self.signer.sign(path)
        try:
            await asyncio.sleep(3600)
            return signed
        finally:
            self.concurrency.release()


async def main() -> None:
    client = ApiClient(Signer(valid=4))
    calls = [asyncio.create_task(client.get(f"/v1/{n}")) for n in range(7)]
    done, pending = await asyncio.wait(calls, timeout=0.02)
    assert all(isinstance(call.exception(), ExpiredKey) for call in done)
    lost, held = len(done), len(pending)
    del calls, done
    await live(row(client.concurrency, "ApiClient.concurrency", 10, "leaked", count=lost, holders=held))


asyncio.run(main())
