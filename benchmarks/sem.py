"""``exai sem check`` of a large process and of one that changes at full speed, and a tracked permit's cost.

The large one has a million objects of the garbage collector and a thousand tasks, half with a permit each.
Its event loop says the longest time between two turns, while it is looked at and, in the same round, while
it is not. Run it for the churning one alone: ``python -m benchmarks.sem SCANS``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from benchmarks.processes import NotMeasured, cores, environment, exai
from benchmarks.table import Limit, Row

PAIRS: Final = 100_000
CHURN_S: Final = 600.0
"""The longest that the churning target is looked at in a run of all."""
_FIRST_S: Final = 60.0

LARGE: Final = """
import asyncio, gc, sys, time

class Node:
    def __init__(self, number):
        self.number, self.next = number, None

async def one(limit):
    async with limit:
        await asyncio.sleep(3600)

async def turns(worst):
    loop = asyncio.get_running_loop()
    last = time.perf_counter()
    while True:
        await asyncio.sleep(0.0005)
        now = time.perf_counter()
        worst[0] = max(worst[0], now - last)
        last = now

async def main():
    global kept, limit
    kept = [Node(n) for n in range(300_000)] + [(n, [n]) for n in range(300_000)]
    kept += [{n: []} for n in range(50_000)]
    gc.collect()
    gc.freeze()
    limit = asyncio.BoundedSemaphore(500)
    tasks = [asyncio.create_task(one(limit)) for _ in range(1000)]
    await asyncio.sleep(0.1)
    worst = [0.0]
    kept.append(asyncio.create_task(turns(worst)))
    print(gc.get_freeze_count() + len(gc.get_objects()), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line == "begin\\n":
            worst[0] = 0.0
        else:
            print(worst[0] * 1000, flush=True)

asyncio.run(main())
"""

CHURN: Final = """
import asyncio, random, sys

LIMIT = asyncio.BoundedSemaphore(8)
PLAIN = asyncio.Semaphore(5)

async def once():
    async with LIMIT:
        await asyncio.sleep(random.random() / 100)
        async with PLAIN:
            await asyncio.sleep(0)
            if random.random() < 0.1:
                raise OSError

async def client():
    while True:
        try:
            await asyncio.wait_for(once(), random.random() / 50)
        except (asyncio.TimeoutError, OSError):
            pass

async def main():
    clients = [asyncio.create_task(client()) for _ in range(24)]
    print("ready", flush=True)
    await asyncio.sleep(1e6)

asyncio.run(main())
"""

WATCHED: Final = """
import json, os, resource, sys, threading, time
from pathlib import Path
from exai_ops.sem.passive.whole import WholeScanner

pid, done, traced, written = int(sys.argv[1]), threading.Event(), [], []

def look():
    while not done.is_set():
        status = Path(f"/proc/{pid}/status").read_text()
        traced.append(int(status.partition("TracerPid:")[2].split()[0]))
        for entry in os.listdir("/proc/self/fd"):
            try:
                if os.readlink(f"/proc/self/fd/{entry}") == f"/proc/{pid}/mem":
                    flags = Path(f"/proc/self/fdinfo/{entry}").read_text().split("flags:")[1].split()[0]
                    written.append(int(flags, 8) & os.O_ACCMODE)
            except OSError:
                pass
        time.sleep(0.01)

thread = threading.Thread(target=look)
thread.start()
with WholeScanner(pid) as scanner:
    took = [scanner.scan().took_s for _ in range(2)]
done.set()
thread.join()
print(json.dumps({
    "took_s": took, "traced": sum(map(bool, traced)), "written": sum(map(bool, written)),
    "looked": len(written), "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def rows(folder: Path, *, rounds: int, quick: bool, say: Callable[[str], None]) -> list[Row]:
    """Time, gaps, memory and writes of a look at the large one; scans of the churning one; a pair's cost."""
    if sys.platform != "linux":
        raise NotMeasured("exai sem reads processes of Linux")
    home = folder / "sem"
    home.mkdir()
    say(f"{rounds} rounds: exai sem check of 1e6 objects and 1,000 tasks")
    found = _large_rows(home, rounds)
    say("exai sem check of a target at full speed")
    churned = _churn_rows(home, scans=200 if quick else 10_000)
    say("a look from within at 1e6 objects")
    return [*found, *churned, _pair_row(rounds), *_inject_rows(home, scans=5 if quick else 100)]


def _large_rows(home: Path, rounds: int) -> list[Row]:
    with _target(LARGE, home) as (child, objects):
        command = [*exai(), "sem", "check", str(child.pid), "--format", "short"]
        _command(command, home)  # the first asks the twin
        took, gaps, calm, seen = [], [], [], []
        for _ in range(rounds):
            _ask(child, "begin")
            began = time.perf_counter()
            _command(command, home)
            took.append(time.perf_counter() - began)
            gaps.append(float(_ask(child, "end")))
            _ask(child, "begin")
            time.sleep(took[-1])
            calm.append(float(_ask(child, "end")))
            done = _command([sys.executable, "-c", WATCHED, str(child.pid)], home)
            seen.append(json.loads(done))
    what = f"{int(objects):,} objects, 1,000 tasks"
    worse = tuple(gap - other for gap, other in zip(gaps, calm, strict=True))
    return [
        _row(f"`exai sem check`, {what}", "s", "at most 1 s", took, 1),
        _row("of it, the scan alone", "s", "", [one["took_s"][0] for one in seen]),
        _row("a second scan by the same scanner", "s", "", [one["took_s"][1] for one in seen]),
        _row(
            "its event loop's longest gap, beyond that of as long a time before",
            "ms",
            "at most 5 ms",
            worse,
            5,
        ),
        _row("scanner's peak memory", "MB", "at most 200 MB", [one["peak_mb"] for one in seen], 200),
        _row(
            "times it was traced, or its memory open for writing",
            "",
            "0",
            [float(one["traced"] + one["written"] + (not one["looked"])) for one in seen],
            0,
        ),
    ]


def _row(
    what: str, unit: str, goal: str, figures: list[float] | tuple[float, ...], limit: float | None = None
) -> Row:
    return Row(
        group="sem",
        what=what,
        unit=unit,
        goal=goal,
        figures=tuple(figures),
        limit=None if limit is None else Limit(number=limit),
    )


def _churn_rows(home: Path, *, scans: int, longest_s: float = CHURN_S) -> list[Row]:
    with _target(CHURN, home) as (child, _):
        done, accused, took_s = churn(child.pid, scans=scans, longest_s=longest_s)
        if child.poll() is not None:
            raise NotMeasured("the churning target ended")
    return [
        _row(f"confirmed accusations in {done:,} scans at full speed", "", "0", [float(accused)], 0),
        _row("a scan of it", "s", "", [took_s / max(done, 1)]),
    ]


def churn(pid: int, *, scans: int, longest_s: float) -> tuple[int, int, float]:
    """(scans, accusations that a second scan confirmed, seconds) of a target that loses nothing."""
    from exai_ops.sem.check import together
    from exai_ops.sem.passive.whole import WholeScanner
    from exai_ops.sem.verdict import ACCUSATIONS, AGREE_S, judge

    began, accused, done = time.perf_counter(), 0, 0
    with WholeScanner(pid) as scanner:
        while done < scans and time.perf_counter() - began < longest_s:
            done += 1
            scan = scanner.scan()
            said = [judge(one) for one in scan.semaphores]
            if any(one.verdict in ACCUSATIONS for one in said):
                time.sleep(max(0.0, scan.at_s + AGREE_S - time.monotonic()))
                second = together(scan, said, scanner.scan())
                accused += sum(one.verdict in ACCUSATIONS for one in second)
    return done, accused, time.perf_counter() - began


def _inject_rows(home: Path, *, scans: int) -> list[Row]:
    """The loop's gaps while a thread of ours looks from within, and the longest stretch that it works."""
    from exai_ops.sem.inject.scan import InjectedScanner

    gaps, busiest, held = [], [], []
    with (
        _target(LARGE, home) as (child, _),
        InjectedScanner(child.pid, say=lambda _: None) as scanner,
    ):
        for _ in range(scans):
            _ask(child, "begin")
            began = time.perf_counter()
            scanner.scan()
            took_s = time.perf_counter() - began
            gap = float(_ask(child, "end"))
            _ask(child, "begin")
            time.sleep(took_s)
            gaps.append(gap - float(_ask(child, "end")))
            busiest.append(scanner.busiest_s * 1000)
            held.append(scanner.held_s * 1000)
    return [
        _row(
            f"`--inject`, {scans} scans: its loop's longest gap, beyond that of as long a time after",
            "ms",
            "at most 50 ms",
            gaps,
            50,
        ),
        _row(
            "of all, the probe's longest stretch of processor time", "ms", "at most 50 ms", [max(busiest)], 50
        ),
        _row("its main thread held", "ms", "", held),
    ]


def _pair_row(rounds: int) -> Row:
    from exai_ops.sem.tracked import TrackedSemaphore

    async def pairs() -> float:
        limit = TrackedSemaphore(1)
        began = time.process_time()
        for _ in range(PAIRS):
            async with limit:
                pass
        return (time.process_time() - began) / PAIRS * 1e6

    figures = [min(asyncio.run(pairs()) for _ in range(3)) for _ in range(rounds)]
    return _row("`async with TrackedSemaphore`, a pair", "us", "at most 2 us", figures, 2)


@contextlib.contextmanager
def _target(source: str, home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A child that runs the source, on a core of its own, and the first line that it said."""
    child = subprocess.Popen(
        [sys.executable, "-c", source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=home,
        env=environment(home, {}),
    )
    try:
        if pinned := cores():
            os.sched_setaffinity(child.pid, pinned[0])
        yield child, _line(child.stdout)
    finally:
        child.kill()
        child.communicate()


def _ask(child: subprocess.Popen[str], word: str) -> str:
    """The answer to a word; ``begin`` has none."""
    assert child.stdin is not None
    child.stdin.write(word + "\n")
    child.stdin.flush()
    return "" if word == "begin" else _line(child.stdout)


def _line(file: IO[str] | None) -> str:
    line = file.readline() if file is not None else ""
    if not line:
        raise NotMeasured("the target ended")
    return line.strip()


def _command(command: list[str], home: Path) -> str:
    """What a command says, run beside the target's core. Raises NotMeasured when it fails."""
    pinned = cores()

    def pin() -> None:
        if pinned:
            os.sched_setaffinity(0, pinned[1])

    done = subprocess.run(
        command, cwd=home, env=environment(home, _home(home)), capture_output=True, text=True,
        timeout=_FIRST_S, check=False, preexec_fn=pin,
    )  # fmt: skip
    if done.returncode != 0:
        raise NotMeasured(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return done.stdout


def _home(home: Path) -> dict[str, Any]:
    return {"XDG_CACHE_HOME": str(home / "cache")}


def main() -> int:
    """Look at the churning target as often as the argument says."""
    scans = int(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="exai-bench-") as folder:
        for row in _churn_rows(Path(folder), scans=scans, longest_s=float("inf")):
            print(f"{row.what}: {row.figure:g} {row.unit}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
