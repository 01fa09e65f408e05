"""One child of a TaskGroup fails, the group cancels the others between their acquire and their release."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row


class Fatal(Exception):
    pass


class Fanout:
    def __init__(self, parallel: int) -> None:
        self.parallel = asyncio.Semaphore(parallel)
        self.begun = 0
        self.ended = 0

    async def push(self, shard: int) -> None:
        await self.parallel.acquire()
        self.begun += 1
        if shard == 3:
            self.parallel.release()
            self.ended += 1
            raise Fatal(shard)
        await asyncio.sleep(3600 if shard % 2 == 0 else 0)
        self.parallel.release()
        self.ended += 1

    async def all_shards(self, shards: range) -> None:
        if sys.version_info >= (3, 11):
            async with asyncio.TaskGroup() as group:
                for shard in shards:
                    group.create_task(self.push(shard))
            return
        tasks = [asyncio.ensure_future(self.push(shard)) for shard in shards]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def main() -> None:
    fanout = Fanout(8)
    outcome = (await asyncio.gather(fanout.all_shards(range(4)), return_exceptions=True))[0]
    assert isinstance(outcome, BaseException)
    del outcome
    lost = fanout.begun - fanout.ended
    await live(row(fanout.parallel, "Fanout.parallel", 8, "leaked", count=lost))


asyncio.run(main())
