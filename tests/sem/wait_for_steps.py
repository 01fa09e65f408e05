"""Every order and distance, in steps of the loop, of three events about a waiting acquire; what became of it.

Run by each Python that is looked at: it prints one JSON object, {way: {outcome: count}}. The loop's clock is
made, so that a timeout comes in the step in which it is wanted.
"""

import asyncio
import itertools
import json
import sys

EVENTS = ("release", "timeout", "cancel")


class Loop(asyncio.SelectorEventLoop):
    now = 0.0

    def time(self):
        return self.now


async def with_a_flag(sem):
    acquired = False
    try:
        await asyncio.wait_for(sem.acquire(), 10)
        acquired = True
        await asyncio.sleep(0)
        return "ran"
    finally:
        if acquired:
            sem.release()


async def around_the_whole(sem):
    async def body():
        async with sem:
            await asyncio.sleep(0)
            return "ran"

    return await asyncio.wait_for(body(), 10)


async def with_timeout(sem):
    async with asyncio.timeout(10):
        async with sem:
            await asyncio.sleep(0)
            return "ran"


async def shielded(sem):
    acquired = False
    try:
        await asyncio.shield(sem.acquire())
        acquired = True
        await asyncio.sleep(0)
        return "ran"
    finally:
        if acquired:
            sem.release()


async def attempt(way, events, gaps):
    sem = asyncio.Semaphore(1)
    await sem.acquire()
    task = asyncio.ensure_future(way(sem))
    for _ in range(4):
        await asyncio.sleep(0)
    cancelled = False
    for event, gap in zip(events, gaps):
        for _ in range(gap):
            await asyncio.sleep(0)
        if event == "release":
            sem.release()
        elif event == "timeout":
            asyncio.get_running_loop().now += 11
        else:
            cancelled = task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    for _ in range(6):
        await asyncio.sleep(0)
    if sem._value != 1:
        return "lost" if sem._value < 1 else "twice"
    return "cancellation swallowed" if cancelled and result == "ran" else "well"


async def main():
    ways = [with_a_flag, around_the_whole, shielded]
    if sys.version_info >= (3, 11):
        ways.append(with_timeout)
    found = {}
    orders = [order for n in (2, 3) for order in itertools.permutations(EVENTS, n) if "release" in order]
    for way in ways:
        counts = found.setdefault(way.__name__, {})
        for events in orders:
            for gaps in itertools.product(range(4), repeat=len(events)):
                outcome = await attempt(way, events, gaps)
                counts[outcome] = counts.get(outcome, 0) + 1
    print(json.dumps(found))


loop = Loop()
loop.run_until_complete(main())
loop.close()
