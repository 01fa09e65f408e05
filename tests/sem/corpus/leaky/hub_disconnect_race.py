"""A websocket hub gives a seat back only if the client is still listed; kick() took it off the list."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class Client:
    def __init__(self, name: str) -> None:
        self.name, self.closed = name, asyncio.Event()


class Hub:
    def __init__(self, seats: int) -> None:
        self._seats = asyncio.Semaphore(seats)
        self._clients: dict[str, Client] = {}
        self.kicked = 0

    async def on_open(self, name: str) -> Client:
        await self._seats.acquire()
        client = self._clients[name] = Client(name)
        return client

    def on_close(self, name: str) -> None:
        if self._clients.pop(name, None) is not None:
            self._seats.release()

    def kick(self, name: str) -> None:
        self._clients.pop(name).closed.set()
        self.kicked += 1


async def connection(hub: Hub, name: str) -> None:
    client = await hub.on_open(name)
    await client.closed.wait()
    hub.on_close(name)


async def main() -> None:
    hub = Hub(8)
    tasks = [asyncio.create_task(connection(hub, name)) for name in ("ada", "spam-1", "bob", "spam-2", "eve")]
    await asyncio.sleep(0)
    hub.kick("spam-1")
    hub.kick("spam-2")
    hub._clients["eve"].closed.set()  # leaves by itself
    await steady()
    held = len(hub._clients)
    await live(row(hub._seats, "Hub._seats", 8, "leaked", count=hub.kicked, holders=held))
    assert tasks


asyncio.run(main())
