"""Small functions, and what is true of them where they stand (``mark``)."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

from exai_ops.sem.flow_model import Match

Counts = frozenset[int] | None
SLOTS = Match.of({"_slots"})


@dataclass(frozen=True)
class Case:
    """One function ``f``.

    Attributes:
        held: least, most, by ``with`` least, most.
        ahead: least, most, least on ways that return.
        net: returns, raises; None where it is not asked.
    """

    name: str
    source: str
    held: tuple[int, int | None, int, int | None]
    ahead: tuple[int, int | None, int | None]
    net: tuple[Counts, Counts] | None = None
    match: Match = SLOTS

    @property
    def text(self) -> str:
        return dedent(self.source)


def some(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


ZERO = some(0)
NONE: Counts = frozenset()

CASES = [
    Case("acquire, try, finally", """
        async def f(self):
            await self._slots.acquire()
            try:
                await mark()
            finally:
                self._slots.release()
        """, (1, 1, 0, 0), (1, 1, 1), (ZERO, ZERO)),
    Case("acquire inside try", """
        async def f(self):
            try:
                await self._slots.acquire()
                await mark()
            finally:
                self._slots.release()
        """, (1, 1, 0, 0), (1, 1, 1), (ZERO, some(0, -1))),
    Case("no finally", """
        async def f(self):
            await self._slots.acquire()
            await mark()
            self._slots.release()
        """, (1, 1, 0, 0), (0, 1, 1), (ZERO, some(0, 1))),
    Case("before the acquire", """
        async def f(self):
            await mark()
            await self._slots.acquire()
            try:
                await work()
            finally:
                self._slots.release()
        """, (0, 0, 0, 0), (0, 0, 0), (ZERO, ZERO)),
    Case("waiting for the acquire", """
        async def f(self):
            async with self._other:
                await self._slots.acquire(await mark())
                self._slots.release()
        """, (0, 0, 0, 0), (0, 0, 0), (ZERO, ZERO)),
    Case("the release has been", """
        async def f(self):
            await self._slots.acquire()
            self._slots.release()
            await mark()
        """, (0, 0, 0, 0), (0, 0, 0)),
    Case("async with", """
        async def f(self):
            async with self._slots:
                await mark()
        """, (0, 0, 1, 1), (0, 0, 0), (ZERO, ZERO)),
    Case("with", """
        def f(self):
            with self._slots as got:
                mark()
                return got
        """, (0, 0, 1, 1), (0, 0, 0), (ZERO, ZERO)),
    Case("async with in a loop", """
        async def f(self):
            for item in self.items:
                async with self._slots:
                    if not item:
                        continue
                    if item == 1:
                        break
                    await mark()
        """, (0, 0, 1, 1), (0, 0, 0), (ZERO, ZERO)),
    Case("nested with", """
        async def f(self):
            async with self._gate, self._slots:
                with open(name) as file:
                    async with self._slots:
                        await mark()
        """, (0, 0, 2, 2), (0, 0, 0), (ZERO, ZERO)),
    Case("early return forgets", """
        async def f(self):
            await self._slots.acquire()
            if await mark():
                return None
            self._slots.release()
        """, (1, 1, 0, 0), (0, 1, 0), (some(0, 1), some(0, 1))),
    Case("early return in try", """
        async def f(self):
            await self._slots.acquire()
            try:
                for item in self.items:
                    if item:
                        return await mark()
                return 2
            finally:
                self._slots.release()
        """, (1, 1, 0, 0), (1, 1, 1), (ZERO, ZERO)),
    Case("conditional release", """
        async def f(self, keep):
            await self._slots.acquire()
            await mark()
            if not keep:
                self._slots.release()
        """, (1, 1, 0, 0), (0, 1, 0), (some(0, 1), some(0, 1))),
    Case("except forgets", """
        async def f(self):
            await self._slots.acquire()
            try:
                await work()
            except OSError:
                await mark()
                return
            self._slots.release()
        """, (1, 1, 0, 0), (0, 0, 0), (some(0, 1), some(0, 1))),
    Case("except and else release", """
        async def f(self):
            await self._slots.acquire()
            try:
                await mark()
            except BaseException:
                self._slots.release()
                raise
            else:
                self._slots.release()
        """, (1, 1, 0, 0), (1, 1, 1), (ZERO, ZERO)),
    Case("except swallows", """
        async def f(self):
            await self._slots.acquire()
            try:
                await mark()
            except Exception as error:
                log.warning("lost: %s", error)
            self._slots.release()
        """, (1, 1, 0, 0), (0, 1, 1), (ZERO, some(0, 1))),
    Case("loop of acquires, loop of releases", """
        async def f(self):
            for _ in range(self.n):
                await self._slots.acquire()
            try:
                await mark()
            finally:
                for _ in range(self.n):
                    self._slots.release()
        """, (0, None, 0, 0), (0, None, 0)),
    Case("two and two", """
        async def f(self):
            await self._slots.acquire()
            await self._slots.acquire()
            await mark()
            self._slots.release()
            self._slots.release()
        """, (2, 2, 0, 0), (0, 2, 2), (ZERO, some(0, 1, 2))),
    Case("worker loop, balanced", """
        async def f(self):
            while True:
                job = await self.jobs.get()
                await self._slots.acquire()
                try:
                    await mark(job)
                finally:
                    self._slots.release()
        """, (1, 1, 0, 0), (1, 1, None), (NONE, ZERO)),
    Case("worker that releases for others", """
        async def f(self):
            while True:
                await mark()
                self._slots.release()
        """, (0, 0, 0, 0), (0, None, None), (NONE, None)),
    Case("wait_for", """
        async def f(self):
            await asyncio.wait_for(self._slots.acquire(), 1)
            try:
                await mark()
            finally:
                self._slots.release()
        """, (1, 1, 0, 0), (1, 1, 1), (ZERO, ZERO)),
    Case("task of an acquire", """
        async def f(self):
            task = asyncio.create_task(self._slots.acquire())
            await task
            await mark()
            self._slots.release()
        """, (1, 1, 0, 0), (0, 1, 1)),
    Case("alias", """
        async def f(self):
            sem = self._slots
            await sem.acquire()
            give = sem.release
            try:
                await mark()
            finally:
                give()
        """, (1, 1, 0, 0), (1, 1, 1), (ZERO, ZERO)),
    Case("alias by its own name", """
        async def f(self):
            sem = self.pick()
            await sem.acquire()
            await mark()
            sem.release()
        """, (1, 1, 0, 0), (0, 1, 1), None, Match.of({"local:sem"})),
    Case("what a call gives", """
        async def f(self):
            sem = self.pick()
            async with sem:
                await mark()
        """, (0, 0, 1, 1), (0, 0, 0), (ZERO, ZERO), Match.of({"pick()"})),
    Case("one of two", """
        async def f(self, fast):
            sem = self._slots if fast else self._others
            await sem.acquire()
            try:
                await mark()
            finally:
                sem.release()
        """, (1, 1, 0, 0), (1, 1, 1)),
    Case("in a dict", """
        async def f(key):
            await POOLS[key].acquire()
            try:
                await mark()
            finally:
                POOLS[key].release()
        """, (1, 1, 0, 0), (1, 1, 1), (ZERO, ZERO), Match.of({"POOLS"})),
    Case("each of a list", """
        async def f(self):
            for sem in self._slots:
                await sem.acquire()
            await mark()
            for sem in self._slots:
                sem.release()
        """, (0, None, 0, 0), (0, None, 0)),
    Case("another semaphore", """
        async def f(self):
            await self._others.acquire()
            await mark()
            self._others.release()
        """, (0, 0, 0, 0), (0, 0, 0), (ZERO, ZERO)),
    Case("tried and tested", """
        def f(self):
            if not self._slots.acquire(timeout=1):
                return False
            mark()
            self._slots.release()
            return True
        """, (1, 1, 0, 0), (0, 1, 1), (ZERO, some(0, 1))),
    Case("tried in a loop", """
        def f(self):
            while not self._slots.acquire(blocking=False):
                sleep(1)
            try:
                mark()
            finally:
                self._slots.release()
        """, (1, 1, 0, 0), (1, 1, 1), (ZERO, ZERO)),
    Case("walrus", """
        def f(self):
            if (got := self._slots.acquire(False)) and self.ready:
                mark(got)
                self._slots.release()
        """, (1, 1, 0, 0), (0, 1, 1)),
    Case("tried, tested later", """
        def f(self):
            got = self._slots.acquire(False)
            try:
                mark()
            finally:
                if got:
                    self._slots.release()
        """, (0, 1, 0, 0), (0, 1, 0)),
    Case("generator", """
        def f(self):
            self._slots.acquire()
            try:
                yield mark()
            finally:
                self._slots.release()
        """, (1, 1, 0, 0), (1, 1, 1), (ZERO, ZERO)),
    Case("async generator", """
        async def f(self):
            async with self._slots:
                async for row in self.rows():
                    await mark()
                    yield row
        """, (0, 0, 1, 1), (0, 0, 0), (ZERO, ZERO)),
    Case("match", """
        async def f(self, what):
            await self._slots.acquire()
            match await mark():
                case {"keep": True}:
                    return self
                case [first, *_] | (first, 2):
                    self._slots.release()
                case Point(x=0):
                    self._slots.release()
                case _:
                    raise ValueError
        """, (1, 1, 0, 0), (0, 1, 0)),
    Case("comprehension between", """
        async def f(self):
            await self._slots.acquire()
            try:
                names = [n for n in self.names if n]
                found = {k: v async for k, v in self.rows()}
                await mark(*names, **found)
            finally:
                self._slots.release()
        """, (1, 1, 0, 0), (1, 1, 1)),
    Case("exception groups", """
        async def f(self):
            await self._slots.acquire()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(work())
                    await mark()
            finally:
                self._slots.release()
        """, (1, 1, 0, 0), (1, 1, 1), (ZERO, ZERO)),
    Case("timeout around", """
        async def f(self):
            async with asyncio.timeout(1):
                await self._slots.acquire()
            await mark()
            self._slots.release()
        """, (1, 1, 0, 0), (0, 1, 1)),
    Case("gives back", """
        def f(self):
            mark()
            self._slots.release()
        """, (0, 0, 0, 0), (0, 1, 1), (some(-1), ZERO)),
    Case("takes and keeps", """
        async def f(self):
            await self._slots.acquire()
            await mark()
            return Lease(self)
        """, (1, 1, 0, 0), (0, 0, 0), (some(1), some(0, 1))),
    Case("by methods that do it", """
        async def f(self):
            await self.take()
            try:
                await mark()
            finally:
                await self.give_back()
        """, (1, 1, 0, 0), (1, 1, 1), (ZERO, ZERO),
        Match.of({"_slots"}, {"attr:take": "acquire", "give_back": "release"})),
    Case("by a method that may", """
        async def f(self):
            await self.take()
            await mark()
        """, (0, 1, 0, 0), (0, 0, 0), (some(0, 1), some(0, 1)), Match.of({"_slots"}, {"take": some(0, 1)})),
    Case("enter by hand", """
        async def f(self):
            await self._slots.__aenter__()
            try:
                await mark()
            finally:
                await self._slots.__aexit__(None, None, None)
        """, (1, 1, 0, 0), (1, 1, 1), (ZERO, ZERO)),
    Case("global", """
        async def f():
            async with LIMIT:
                await mark()
        """, (0, 0, 1, 1), (0, 0, 0), (ZERO, ZERO), Match.of({"global:LIMIT"})),
    Case("try in a loop with continue", """
        async def f(self):
            while self.open:
                await self._slots.acquire()
                try:
                    if not await mark():
                        continue
                    await work()
                except ValueError:
                    continue
                finally:
                    self._slots.release()
        """, (1, 1, 0, 0), (1, 1, 1), (ZERO, ZERO)),
    Case("loop that forgets", """
        async def f(self):
            while self.open:
                await self._slots.acquire()
                try:
                    await mark()
                except ValueError:
                    continue
                self._slots.release()
        """, (1, None, 0, 0), (0, 1, 0)),
]  # fmt: skip
