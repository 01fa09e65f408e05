"""A pub/sub bridge: a permit for each unacknowledged message; nack queues it again and keeps the permit."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Bridge:
    def __init__(self, prefetch: int) -> None:
        self.prefetch = asyncio.Semaphore(prefetch)
        self.unacked: dict[int, str] = {}
        self.redelivered: list[str] = []

    async def deliver(self, tag: int, body: str) -> None:
        await self.prefetch.acquire()
        self.unacked[tag] = body

    def ack(self, tag: int) -> None:
        if self.unacked.pop(tag, None) is not None:
            self.prefetch.release()

    def nack(self, tag: int) -> None:
        body = self.unacked.pop(tag)
        self.redelivered.append(body)


async def main() -> None:
    bridge = Bridge(prefetch=8)
    for tag, body in enumerate(("buy", "sell", "bad json", "buy", "{", "hold", "<html>")):
        await bridge.deliver(tag, body)
    for tag in (2, 4, 6):
        bridge.nack(tag)
    for tag in (0, 1):
        bridge.ack(tag)
    lost, held = len(bridge.redelivered), len(bridge.unacked)
    await live(row(bridge.prefetch, "Bridge.prefetch", 8, "leaked", count=lost, holders=held))


asyncio.run(main())
