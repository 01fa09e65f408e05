"""A task's done-callback, a lambda, gives the permit back: the tasks themselves know of no semaphore."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


async def play(track: str) -> None:
    await asyncio.sleep(3600 if track.endswith(".flac") else 0)


class Player:
    def __init__(self, channels: int) -> None:
        self._channels = asyncio.BoundedSemaphore(channels)
        self.playing: dict[str, asyncio.Task[None]] = {}

    async def start(self, track: str) -> None:
        await self._channels.acquire()
        task = self.playing[track] = asyncio.create_task(play(track))
        task.add_done_callback(lambda _task: self._stopped(track))

    def _stopped(self, track: str) -> None:
        del self.playing[track]
        self._channels.release()


async def main() -> None:
    player = Player(4)
    for track in ("a.flac", "b.mp3", "c.flac", "d.mp3"):
        await player.start(track)
    while len(player.playing) > 2:
        await asyncio.sleep(0)
    await live(row(player._channels, "Player._channels", 4, "busy", holders=len(player.playing)))


asyncio.run(main())
