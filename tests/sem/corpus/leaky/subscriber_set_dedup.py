"""A set of equal subscriptions: the second of two takes a permit, and the set keeps one of them."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


@dataclass(frozen=True)
class Subscription:
    client: str
    topic: str


class Feed:
    def __init__(self, subscriptions: int) -> None:
        self._quota = asyncio.Semaphore(subscriptions)
        self._active: set[Subscription] = set()
        self.merged = 0

    async def subscribe(self, client: str, topic: str) -> None:
        await self._quota.acquire()
        subscription = Subscription(client, topic)
        self.merged += subscription in self._active
        self._active.add(subscription)

    def unsubscribe(self, client: str, topic: str) -> None:
        subscription = Subscription(client, topic)
        if subscription in self._active:
            self._active.remove(subscription)
            self._quota.release()


async def main() -> None:
    feed = Feed(8)
    for client, topic in (("ada", "eur"), ("ada", "usd"), ("bob", "eur"), ("ada", "eur"), ("eve", "gbp")):
        await feed.subscribe(client, topic)
    for _ in range(2):
        feed.unsubscribe("ada", "eur")
    held = len(feed._active)
    await live(row(feed._quota, "Feed._quota", 8, "leaked", count=feed.merged, holders=held))


asyncio.run(main())
