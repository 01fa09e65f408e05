"""GPU leases: the video path forgets to close its lease, the image path keeps its lease in a table."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Lease:
    def __init__(self, farm: Farm, job: str) -> None:
        self.farm, self.job, self.closed = farm, job, False

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.farm.gpus.release()


class Farm:
    def __init__(self, gpus: int) -> None:
        self.gpus = asyncio.BoundedSemaphore(gpus)
        self.sessions: dict[str, Lease] = {}

    async def lease(self, job: str) -> Lease:
        await self.gpus.acquire()
        return Lease(self, job)

    async def open_session(self, user: str) -> None:
        self.sessions[user] = await self.lease(f"session of {user}")

    async def render_video(self, name: str) -> int:
        lease = await self.lease(name)
        await asyncio.sleep(0)
        return len(lease.job)

    def close_session(self, user: str) -> None:
        self.sessions.pop(user).close()


async def main() -> None:
    farm = Farm(7)
    for user in ("ada", "grace", "edsger"):
        await farm.open_session(user)
    farm.close_session("edsger")
    frames = [await farm.render_video(name) for name in ("intro.mov", "talk.mov", "credits.mov")]
    await live(
        row(farm.gpus, "Farm.gpus", 7, "leaked", count=len(frames), holders=len(farm.sessions)),
    )


asyncio.run(main())
