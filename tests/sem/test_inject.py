"""Looking from within: right in every Python found, and the process is as it was before."""

from __future__ import annotations

import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from exai_ops.errors import CouldNotLook
from exai_ops.sem.check import look
from exai_ops.sem.inject.call import give
from exai_ops.sem.inject.elf import functions
from exai_ops.sem.inject.merge import informed, is_open, merged
from exai_ops.sem.inject.scan import InjectedScanner
from exai_ops.sem.model import Holder, Judgement, Scan, Semaphore, Verdict
from exai_ops.sem.process import Process

from .targets import PYTHONS, running

PROGRAM: Final = """
import contextlib, gc, threading

class Pool:
    def __init__(self):
        self.slots = asyncio.BoundedSemaphore(5)

class Narrow(asyncio.BoundedSemaphore):
    pass

LOST = Narrow(3)
THREADS = threading.BoundedSemaphore(3)
done = threading.Event()

def work():
    with THREADS:
        done.wait()

async def within(sem):
    async with sem:
        await asyncio.sleep(1000)

async def between(sem):
    await sem.acquire()
    try:
        await asyncio.sleep(1000)
    finally:
        sem.release()

async def lose(sem):
    await sem.acquire()

async def stacked(sem):
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(sem)
        await asyncio.sleep(1000)

def listen(loop, asked):
    for line in sys.stdin:
        loop.call_soon_threadsafe(asked.put_nowait, line)

def state():
    gc.collect()
    ours = [one for one in gc.get_objects() if str(getattr(type(one), "__module__", "")) == "exai_sem_probe"]
    return dict(ours=len(ours), modules=sorted(sys.modules), main=sorted(globals()), gc=gc.isenabled(),
                threads=len(sys._current_frames()), values=[one._value for one in sems.values()])

sems = {}

async def main():
    threading.Thread(target=work, daemon=True).start()
    pool, loop = Pool(), asyncio.get_running_loop()
    sems.update(
        pool=pool.slots, lost=LOST, between=asyncio.BoundedSemaphore(2), stack=asyncio.BoundedSemaphore(2),
        timer=asyncio.BoundedSemaphore(2), idle=asyncio.BoundedSemaphore(1), threads=THREADS,
    )
    tasks = [asyncio.create_task(within(pool.slots), name=f"user {n}") for n in range(7)]
    tasks += [asyncio.create_task(one) for one in (lose(LOST), between(sems["between"]))]
    tasks.append(asyncio.create_task(stacked(sems["stack"])))
    await sems["timer"].acquire()
    loop.call_later(1000, sems["timer"].release)
    for _ in range(5):
        await asyncio.sleep(0)
    while THREADS._value == 3:
        await asyncio.sleep(0)
    asked = asyncio.Queue()
    threading.Thread(target=listen, args=(loop, asked), daemon=True).start()
    state()
    tell(**{name: id(one) for name, one in sems.items()})
    while True:
        await asked.get()
        while state()["threads"] > 3:
            await asyncio.sleep(0)
        tell(**state())

asyncio.run(main())
"""
EXPECTED: Final = {
    "pool": (Verdict.SATURATED, 0),
    "lost": (Verdict.LEAKED, 1),
    "between": (Verdict.BUSY, 0),
    "stack": (Verdict.BUSY, 0),
    "timer": (Verdict.BUSY, 0),
    "idle": (Verdict.IDLE, 0),
    "threads": (Verdict.BUSY, 0),
}


@contextmanager
def program(python: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    with running(python, PROGRAM) as (child, known):
        yield child, known


def ask(child: subprocess.Popen[str]) -> dict[str, Any]:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("?\n")
    child.stdin.flush()
    answer: dict[str, Any] = json.loads(child.stdout.readline())
    return answer


def quiet(_: str) -> None:
    pass


@pytest.mark.parametrize("python", PYTHONS)
def test_finds_who_has_each_permit(python: str) -> None:
    with program(python) as (child, known), InjectedScanner(child.pid, say=quiet) as scanner:
        scan, judgements = look(scanner)
        found = {
            one.address: (one, judgement) for one, judgement in zip(scan.semaphores, judgements, strict=True)
        }
        said = {name: (found[at][1].verdict, found[at][1].permits) for name, at in known.items()}
        assert said == EXPECTED
        pool, lost = found[known["pool"]][0], found[known["lost"]][0]
        assert pool.where == ("__main__.Pool.slots", "dict sems['pool']")
        assert sorted(waiter.name for waiter in pool.waiters) == ["user 5", "user 6"]
        assert {holder.what for holder in pool.holders} == {"with"}
        assert pool.holders[0].stack[0].function == "within"
        assert (lost.kind, lost.type_name) == ("asyncio.BoundedSemaphore", "__main__.Narrow")


@pytest.mark.parametrize("python", PYTHONS)
def test_leaves_the_process_as_it_was(python: str) -> None:
    with program(python) as (child, _):
        before, folders = ask(child), set(os.listdir("/tmp"))  # noqa: PTH208
        with InjectedScanner(child.pid, say=quiet) as scanner:
            first, second = scanner.scan(), scanner.scan()
        assert {one.address for one in first.semaphores} == {one.address for one in second.semaphores}
        assert ask(child) == before
        assert not before["ours"]
        assert not [name for name in set(os.listdir("/tmp")) - folders if name.startswith("exai-")]  # noqa: PTH208
        maps = Path(f"/proc/{child.pid}/maps").read_text(encoding="utf-8")
        assert not re.search(r"r-xp 00000000 00:00 0\s*$", maps, re.MULTILINE)


BUSY: Final = """
tell(ready=True)
total = 0
while True:
    made = [{"n": n, "text": str(n) * 3, "bytes": bytearray(600 + n % 900)} for n in range(2000)]
    total += len(made)
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_a_process_that_never_waits_is_not_harmed(python: str) -> None:
    with running(python, BUSY) as (child, _), InjectedScanner(child.pid, say=quiet) as scanner:
        for _ in range(5):
            assert scanner.scan().threads >= 1
        assert child.poll() is None


WAITS: Final = {
    "select": "import select; tell(x=1); select.select([sys.stdin], [], [])",
    "sleep": "import time; tell(x=1); time.sleep(1000)",
    "lock": "import threading; one = threading.Lock(); tell(x=one.acquire()); one.acquire(timeout=1000)",
    "read": "import os; tell(x=1); os.read(0, 1)",
    "join": "import threading; t = threading.Thread(target=sys.stdin.read); t.start(); tell(x=1); t.join()",
}


@pytest.mark.parametrize("wait", WAITS)
def test_a_wait_goes_on_after_it(wait: str) -> None:
    with running(sys.executable, WAITS[wait]) as (child, _), InjectedScanner(child.pid, say=quiet) as scanner:
        scanner.scan()
        scanner.scan()
        assert child.poll() is None
        state = Path(f"/proc/{child.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        assert state == "S"


def test_a_process_in_c_code_is_refused_and_goes_on() -> None:
    source = "tell(x=1); pow(7, 3 ** 14_000_000)"
    with (
        running(sys.executable, source) as (child, _),
        InjectedScanner(child.pid, say=quiet, patience_s=0.3) as scanner,
    ):
        with pytest.raises(CouldNotLook, match=r"did not run the call .* in C code"):
            scanner.scan()
        assert child.poll() is None


def test_a_stopped_process_is_refused() -> None:
    with running(sys.executable, "tell(x=1); sys.stdin.read()") as (child, _):
        os.kill(child.pid, signal.SIGSTOP)
        os.waitpid(child.pid, os.WUNTRACED)
        with (
            InjectedScanner(child.pid, say=quiet) as scanner,
            pytest.raises(CouldNotLook, match="is stopped"),
        ):
            scanner.scan()


def test_says_what_it_will_do_before_it_does() -> None:
    said: list[str] = []
    with program(sys.executable) as (child, _), InjectedScanner(child.pid, say=said.append) as scanner:
        assert said == []
        scanner.scan()
        scanner.scan()
    assert len(said) == 1
    for words in (str(child.pid), "ptrace", "thread of its own", "milliseconds"):
        assert words in said[0]


def test_a_line_runs_once_and_its_memory_comes_back() -> None:
    source = "import time\ntell(x=1)\ncount = []\nwhile not count: time.sleep(0.001)\ntell(count=len(count))"
    with running(sys.executable, source) as (child, _):
        call = give(Process.open(child.pid), "count.append(1)")
        assert call.wait(1e18, lambda: None) in {1, 2}
        assert child.stdout is not None
        assert json.loads(child.stdout.readline()) == {"count": 1}
        child.wait(10)


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n" + b" " * 80, b"\x7fELF\x02" + b"\xff" * 80])
def test_what_is_no_elf_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"ELF|early|large"):
        functions(io.BytesIO(data), [b"x"])


def semaphore(address: int, bound: int | None) -> Semaphore:
    return Semaphore(address, "asyncio.Semaphore", "", (), 1, bound)


def scan_of(*semaphores: Semaphore, notes: tuple[str, ...] = ()) -> Scan:
    return Scan(1, 1, "3.11.7", 0.0, 0.0, semaphores, notes=notes)


LEAKED = Judgement(Verdict.LEAKED, 1)
SUSPECT, UNKNOWN, IDLE = (Judgement(one) for one in (Verdict.SUSPECT, Verdict.UNKNOWN, Verdict.IDLE))


HELD: Final = Holder("with", "Task-1")
FRAME: Final = Holder("frame", "Task-2", (), None, certain=False)
LEASE: Final = Holder("object", "Lease", certain=False)


@pytest.mark.parametrize(
    ("outside", "within", "whole", "expected"),
    [
        ((), (), True, (Verdict.LEAKED, 2)),
        ((FRAME,), (), True, (Verdict.LEAKED, 2)),
        ((FRAME,), (), False, (Verdict.SUSPECT, 0)),  # what it gave away may not have been seen
        ((FRAME, LEASE), (), True, (Verdict.SUSPECT, 0)),
        ((FRAME, HELD), (), True, (Verdict.LEAKED, 1)),
        ((FRAME, HELD), (HELD,), True, (Verdict.LEAKED, 2)),
        ((FRAME, HELD, HELD), (), True, (Verdict.SUSPECT, 0)),
    ],
)
def test_a_loss_takes_both_looks(
    outside: tuple[Holder, ...], within: tuple[Holder, ...], whole: bool, expected: tuple[Verdict, int]
) -> None:
    outer = scan_of(replace(semaphore(1, 5), holders=outside))
    inner = scan_of(replace(semaphore(1, 5), holders=within))
    _, (said,) = merged(outer, [SUSPECT], inner, [Judgement(Verdict.LEAKED, 2)], whole=whole)
    assert (said.verdict, said.permits) == expected


@pytest.mark.parametrize(
    ("outside", "within", "expected"),
    [
        (SUSPECT, LEAKED, LEAKED),
        (UNKNOWN, IDLE, IDLE),
        (SUSPECT, UNKNOWN, SUSPECT),
        (IDLE, LEAKED, IDLE),
        (LEAKED, IDLE, LEAKED),
    ],
)
def test_within_decides_what_outside_leaves_open(
    outside: Judgement, within: Judgement, expected: Judgement
) -> None:
    one = scan_of(semaphore(1, 2))
    assert merged(one, [outside], one, [within])[1] == [expected]


def test_what_is_not_seen_within_stays_as_it_was() -> None:
    outside = scan_of(semaphore(1, 2), semaphore(2, 2), notes=("a",))
    scan, said = merged(outside, [SUSPECT, SUSPECT], scan_of(semaphore(2, 2), notes=("b",)), [LEAKED])
    assert said == [SUSPECT, LEAKED]
    assert scan.notes == ("a", "b")
    assert is_open(said)
    assert not is_open([LEAKED, IDLE])


def test_a_bound_that_the_source_tells_is_taken_from_outside() -> None:
    known = replace(semaphore(1, 4), bound_from="source")
    assert informed(scan_of(semaphore(1, None)), scan_of(known)).semaphores[0].bound == 4
    assert informed(scan_of(semaphore(1, 3)), scan_of(known)).semaphores[0].bound == 3
    assert informed(scan_of(semaphore(2, None)), scan_of(known)).semaphores[0].bound is None


HEAPS: Final = {
    "frozen": "gc.freeze()",
    "a large dict": "kept = {n: [n] for n in range(200_000)}; kept['sem'] = SEM; del SEM",
    "a long chain": "kept = None\nfor n in range(200_000): kept = [kept, {n: n}]",
    "a large cache": "import functools; kept = functools.lru_cache(None)(list)\n"
    "for n in range(100_000): kept((n,))",
}


@pytest.mark.parametrize("heap", HEAPS)
def test_a_large_heap_is_followed_bit_by_bit(heap: str) -> None:
    source = f"import gc\nSEM = asyncio.BoundedSemaphore(3)\n{HEAPS[heap]}\ntell(x=1); sys.stdin.read()"
    with running(sys.executable, source) as (child, _), InjectedScanner(child.pid, say=quiet) as scanner:
        (one,) = scanner.scan().semaphores
    assert (one.kind, one.value, one.bound) == ("asyncio.BoundedSemaphore", 3, 3)
    assert one.where == (("dict kept['sem']",) if heap == "a large dict" else ("__main__.SEM",))


def test_a_heap_too_wide_to_be_followed_is_refused() -> None:
    source = (
        "import random\nkept = [[None] * 9 for _ in range(200_000)]\n"
        "for one in kept: one[:] = random.choices(kept, k=9)\n"
        "kept = kept[0]\ntell(x=1); sys.stdin.read()"
    )
    with (
        running(sys.executable, source) as (child, _),
        InjectedScanner(child.pid, say=quiet) as scanner,
        pytest.raises(CouldNotLook, match="refer to so many others"),
    ):
        scanner.scan()


MAPPED: Final = re.compile(r"^\S+ r-xp 00000000 00:00 0\s*$", re.MULTILINE)
STOPS: Final = "import os, time; tell(pid=os.getpid())\nwhile True: time.sleep(0.001)"
WATCHES: Final = """
import os, signal, sys
from exai_ops.sem.inject import keeper
from exai_ops.sem.inject.means import Order
from exai_ops.sem.process import Process
print(flush=True)
keeper.ask(Process.open(int(sys.argv[1])), Order(20))
"""


def left(pid: int) -> tuple[bool, list[str]]:
    """(whether memory of a call is mapped, folders)."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    folders = [one.name for one in Path("/tmp").glob("exai-" + "[0-9a-f]" * 16)]
    return MAPPED.search(maps) is not None, folders


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s
        select.select([], [], [], 0.001)


def children(pid: int) -> list[int]:
    known = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(one) for one in known.split()]


LARGE: Final = "kept = [{n: [n]} for n in range(150_000)]\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_when_the_scanner_is_killed(number: int) -> None:
    before = set(left(os.getpid())[1])
    with running(sys.executable, LARGE + STOPS) as (child, _):
        command = [sys.executable, "-c", WATCHES, str(child.pid)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as scanner:
            until(lambda: left(child.pid)[0])  # the call is under way
            scanner.send_signal(number)
        until(lambda: left(child.pid) == (False, sorted(before & set(left(child.pid)[1]))))
        until(lambda: len(os.listdir(f"/proc/{child.pid}/task")) == 1)  # noqa: PTH208
        assert child.poll() is None


def test_the_next_scan_clears_what_a_killed_keeper_left() -> None:
    with running(sys.executable, LARGE + STOPS) as (child, _):
        before = set(left(child.pid)[1])
        command = [sys.executable, "-c", WATCHES, str(child.pid)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as scanner:
            until(lambda: left(child.pid)[0])
            until(lambda: set(left(child.pid)[1]) - before)
            (name,) = set(left(child.pid)[1]) - before
            until(lambda: Path("/tmp", name, "answer.json").stat().st_size)
            (keeper,) = children(scanner.pid)
            os.kill(keeper, signal.SIGKILL)
            assert scanner.wait(60) == 1
        assert left(child.pid)[0]
        assert name in left(child.pid)[1]
        os.utime(f"/tmp/{name}", (0, 0))
        with InjectedScanner(child.pid, say=quiet) as within:
            within.scan()
        assert not left(child.pid)[0]
        assert name not in left(child.pid)[1]
        assert child.poll() is None


def test_a_call_that_comes_late_is_still_taken_back() -> None:
    source = "tell(x=1)\nsum(range(50_000_000))\n" + STOPS
    with (
        running(sys.executable, source) as (child, _),
        InjectedScanner(child.pid, say=quiet, patience_s=0.1) as scanner,
    ):
        before = set(left(child.pid)[1])
        with pytest.raises(CouldNotLook, match="did not run the call"):
            scanner.scan()
        assert child.stdout is not None
        assert child.stdout.readline()  # it goes on
        until(lambda: not left(child.pid)[0] and not set(left(child.pid)[1]) - before)
        assert child.poll() is None


@pytest.mark.parametrize("python", PYTHONS)
def test_a_large_heap_is_not_kept_alive_afterwards(python: str) -> None:
    source = (
        "import gc\nSEM = asyncio.BoundedSemaphore(3)\ngc.freeze(); gc.disable()\n"
        "tell(x=1); sys.stdin.readline()\n"
        "tell(ours=sum(type(one).__module__ == 'exai_sem_probe' for one in gc.get_objects()))"
    )
    with running(python, source) as (child, _), InjectedScanner(child.pid, say=quiet) as scanner:
        scanner.scan()
        assert not scanner.whole
        until(lambda: len(os.listdir(f"/proc/{child.pid}/task")) == 1)  # noqa: PTH208
        assert ask(child) == {"ours": 0}
