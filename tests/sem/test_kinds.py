"""What gives permits beside asyncio's and threading's semaphores, in real processes of every version."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from exai_ops.sem.check import look
from exai_ops.sem.model import Judgement, Semaphore, Verdict
from exai_ops.sem.passive.whole import WholeScanner

from .targets import PYTHONS, running

Rows = dict[str, tuple[Semaphore, Judgement]]


@contextmanager
def _looked(python: str, source: str) -> Iterator[Rows]:
    """Each semaphore of a program by its first name, with its verdict."""
    with running(python, source) as (child, _), WholeScanner(child.pid) as scanner:
        scan, judgements = look(scanner)
        yield {s.where[0]: (s, j) for s, j in zip(scan.semaphores, judgements, strict=True) if s.where}


LOCKS = """
import threading

LOCK, FREE, RLOCK, BARE = threading.Lock(), threading.Lock(), threading.RLock(), threading.Lock()
TABLE = {"a": threading.Lock()}
COND, PLAIN = threading.Condition(), threading.Condition(threading.Lock())
GONE = threading.RLock()
inside, waits = threading.Event(), threading.Event()

class Store:
    def __init__(self):
        self.mutex = threading.RLock()

STORE = Store()

def work():
    with LOCK, RLOCK, RLOCK, COND, TABLE["a"], STORE.mutex:
        inside.set()
        threading.Event().wait()

def sleeper():
    with PLAIN:
        waits.set()
        PLAIN.wait()

def ends():
    GONE.acquire()

for one in (work, sleeper):
    threading.Thread(target=one, name=f"the {one.__name__}", daemon=True).start()
last = threading.Thread(target=ends)
last.start()
last.join()
BARE.acquire()
inside.wait()
waits.wait()
with PLAIN:
    pass
tell()
sys.stdin.read()
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_locks_of_threads(python: str) -> None:
    with _looked(python, LOCKS) as rows:
        said = {name: (one.kind, j.verdict) for name, (one, j) in rows.items()}
        assert said == {
            "__main__.LOCK": ("threading.Lock", Verdict.BUSY),
            "__main__.FREE": ("threading.Lock", Verdict.IDLE),
            "__main__.BARE": ("threading.Lock", Verdict.SUSPECT),
            "__main__.TABLE['a']": ("threading.Lock", Verdict.BUSY),
            "__main__.RLOCK": ("threading.RLock", Verdict.BUSY),
            "__main__.Store.mutex": ("threading.RLock", Verdict.BUSY),
            "__main__.GONE": ("threading.RLock", Verdict.LEAKED),
            "__main__.COND": ("threading.Condition", Verdict.BUSY),
            "__main__.PLAIN": ("threading.Condition", Verdict.IDLE),
        }
        (owner,) = rows["__main__.RLOCK"][0].holders
        assert owner.name == "thread the work"
        assert "work" in [site.function.rpartition(".")[2] for site in owner.stack]
        (holder,) = rows["__main__.LOCK"][0].holders
        assert (holder.what, holder.certain) == ("with", True)


CONDITION = """
async def inside(condition, ready):
    async with condition:
        ready.set()
        await wait()

async def waits(condition, ready):
    async with condition:
        ready.set()
        await condition.wait()

async def main():
    global HELD, LEFT, LOCK
    HELD, LEFT, LOCK = asyncio.Condition(), asyncio.Condition(), asyncio.Lock()
    kept = []
    for target, one in ((inside, HELD), (waits, LEFT), (inside, LOCK)):
        ready = asyncio.Event()
        kept.append(asyncio.create_task(target(one, ready), name=f"{target.__name__}"))
        await ready.wait()
    await asyncio.sleep(0)
    tell()
    await wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_conditions_of_asyncio(python: str) -> None:
    with _looked(python, CONDITION) as rows:
        said = {name: (one.kind, j.verdict) for name, (one, j) in rows.items()}
        assert said == {
            "__main__.HELD": ("asyncio.Condition", Verdict.BUSY),
            "__main__.LEFT": ("asyncio.Condition", Verdict.IDLE),
            "__main__.LOCK": ("asyncio.Lock", Verdict.BUSY),
        }
        assert [holder.name for holder in rows["__main__.HELD"][0].holders] == ["inside"]


PROCESSES = """
import multiprocessing

def child(ready):
    SEM.acquire()
    SEM.acquire()
    ready.set()
    multiprocessing.Event().wait()

def dies(ready):
    DEAD.acquire()
    ready.set()

if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    SEM, DEAD = fork.BoundedSemaphore(4), fork.BoundedSemaphore(2)
    LOCK, RLOCK, PLAIN = fork.Lock(), fork.RLock(), fork.Semaphore(3)
    MADE = fork.Queue()
    ready = fork.Event()
    process = fork.Process(target=child, args=(ready,), daemon=True)
    process.start()
    ready.wait()
    other = fork.Event()
    ending = fork.Process(target=dies, args=(other,))
    ending.start()
    ending.join()
    SEM.acquire()
    RLOCK.acquire()
    RLOCK.acquire()
    tell(child=process.pid)
    sys.stdin.read()
    process.kill()
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_what_processes_share(python: str) -> None:
    with running(python, PROCESSES) as (child, known), WholeScanner(child.pid) as scanner:
        scan, judgements = look(scanner)
        rows = {s.where[0]: (s, j) for s, j in zip(scan.semaphores, judgements, strict=True)}
        said = {name: (one.kind, one.value, j.verdict) for name, (one, j) in rows.items()}
        assert said == {
            "__main__.SEM": ("multiprocessing.BoundedSemaphore", 1, Verdict.BUSY),
            "__main__.DEAD": ("multiprocessing.BoundedSemaphore", 1, Verdict.SUSPECT),
            "__main__.LOCK": ("multiprocessing.Lock", 1, Verdict.IDLE),
            "__main__.RLOCK": ("multiprocessing.RLock", 0, Verdict.BUSY),
            "__main__.PLAIN": ("multiprocessing.Semaphore", 3, Verdict.UNKNOWN),
        }
        having = {(holder.name, holder.permits) for holder in rows["__main__.SEM"][0].holders}
        assert having == {(f"process {child.pid}", 1), (f"process {known['child']}", 2)}
        os_kill(known["child"])


def os_kill(pid: int) -> None:
    """End a grandchild, which outlives a parent that is killed."""
    import os
    import signal

    os.kill(pid, signal.SIGKILL)


PLAIN_TASKS = """
import threading

def factory(loop, coro, **options):
    options.pop("eager_start", None)
    return asyncio.tasks._PyTask(coro, loop=loop, **options)

async def holds(ready):
    async with SEM:
        ready.set()
        await asyncio.sleep(3600)

async def loses():
    await SEM.acquire()

async def main():
    global SEM
    asyncio.get_running_loop().set_task_factory(factory)
    SEM = asyncio.BoundedSemaphore(4)
    ready = asyncio.Event()
    kept = asyncio.get_running_loop().create_task(holds(ready))
    await asyncio.get_running_loop().create_task(loses())
    await ready.wait()
    waits = asyncio.Event()
    tell()
    await waits.wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_tasks_written_in_python(python: str) -> None:
    with _looked(python, PLAIN_TASKS) as rows:
        one, judgement = rows["__main__.SEM"]
        assert (one.value, one.held, judgement.verdict, judgement.permits) == (2, 1, Verdict.LEAKED, 1)


MANY_LOOPS = """
import threading

POOLS = {}
ready = threading.Barrier(6)

async def holds(limit):
    async with limit:
        await asyncio.sleep(3600)

async def serve(number):
    POOLS[number] = limit = asyncio.BoundedSemaphore(5)
    if number == 3:
        await limit.acquire()
    kept = [asyncio.ensure_future(holds(limit)) for _ in range(number)]
    await asyncio.sleep(0.01)
    asyncio.get_running_loop().run_in_executor(None, ready.wait)
    await asyncio.sleep(3600)

for number in range(5):
    threading.Thread(target=asyncio.run, args=(serve(number),), daemon=True).start()
ready.wait()
tell()
sys.stdin.read()
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_many_loops_and_threads(python: str) -> None:
    with _looked(python, MANY_LOOPS) as rows:
        said = {name: (one.held, j.verdict, j.permits) for name, (one, j) in rows.items()}
        assert said == {
            f"__main__.POOLS[{number}]": (
                number,
                Verdict.LEAKED if number == 3 else Verdict.BUSY if number else Verdict.IDLE,
                int(number == 3),
            )
            for number in range(5)
        }


ANYIO = """
import anyio

async def holds(limit, ready):
    async with limit:
        ready.set()
        await anyio.sleep(3600)

async def waits(limit):
    async with limit:
        pass

async def loses(limit):
    await limit.acquire()

async def main():
    global SEM, LIMIT, LOST, LOST_SEM
    SEM, LIMIT = anyio.Semaphore(1, max_value=1), anyio.CapacityLimiter(1)
    LOST, LOST_SEM = anyio.CapacityLimiter(3), anyio.Semaphore(3, max_value=3)
    async with anyio.create_task_group() as group:
        for limit in (SEM, LIMIT, LOST, LOST_SEM):
            ready = anyio.Event()
            group.start_soon(holds, limit, ready, name="the holder")
            await ready.wait()
        for limit in (SEM, LIMIT):
            group.start_soon(waits, limit, name="the waiter")
        async with anyio.create_task_group() as short:
            short.start_soon(loses, LOST)
            short.start_soon(loses, LOST_SEM)
        await anyio.sleep(0.05)
        tell()
        await anyio.sleep(3600)

START
"""


@pytest.mark.parametrize("start", ["anyio.run(main)", "import uvloop; uvloop.run(main())"])
def test_limits_of_anyio(start: str) -> None:
    assert importlib.util.find_spec("anyio")
    with _looked(sys.executable, ANYIO.replace("START", start)) as rows:
        said = {name: (one.kind, j.verdict, j.permits) for name, (one, j) in rows.items()}
        assert said == {
            "__main__.SEM": ("anyio.Semaphore", Verdict.SATURATED, 0),
            "__main__.LIMIT": ("anyio.CapacityLimiter", Verdict.SATURATED, 0),
            "__main__.LOST": ("anyio.CapacityLimiter", Verdict.LEAKED, 1),
            "__main__.LOST_SEM": ("anyio.Semaphore", Verdict.LEAKED, 1),
        }
        for name in ("__main__.SEM", "__main__.LIMIT"):
            one = rows[name][0]
            assert [holder.name for holder in one.holders] == ["the holder"]
            assert [waiter.name for waiter in one.waiters] == ["the waiter"]


EARLY = """
import anyio

TAKEN = anyio.Semaphore(6, max_value=6)
ENTERED = anyio.Semaphore(6)
LIMIT = anyio.CapacityLimiter(6)
LOST = anyio.Semaphore(6, max_value=6)
UNUSED = anyio.Semaphore(6, max_value=6)

async def takes(limit):
    await limit.acquire()
    try:
        await anyio.sleep(3600)
    finally:
        limit.release()

async def enters(limit):
    async with limit:
        await anyio.sleep(3600)

async def loses(limit):
    await limit.acquire()

async def main():
    async with anyio.create_task_group() as group:
        group.start_soon(loses, LOST)
    async with anyio.create_task_group() as group:
        for one, limit in ((takes, TAKEN), (enters, ENTERED), (takes, LIMIT)):
            group.start_soon(one, limit)
            group.start_soon(one, limit)
        await anyio.sleep(0.05)
        tell()
        await anyio.sleep(3600)

anyio.run(main)
"""


def test_limits_of_anyio_that_were_made_before_the_loop() -> None:
    with _looked(sys.executable, EARLY) as rows:
        said = {name: (one.type_name, one.value, j.verdict, j.permits) for name, (one, j) in rows.items()}
        assert said == {
            "__main__.TAKEN": ("", 4, Verdict.BUSY, 0),
            "__main__.ENTERED": ("", 4, Verdict.BUSY, 0),
            "__main__.LIMIT": ("", 4, Verdict.BUSY, 0),
            "__main__.LOST": ("", 5, Verdict.LEAKED, 1),
        }
