"""What a program of the corpus says about its semaphores, from inside, and how long it lives.

A row is counted by the program that made the state: permits in proper use, permits lost, permits given twice.
Nothing here keeps a reference to a semaphore, so that a claim does not change what can be seen from outside.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import select
import sys
import threading
from typing import Any

LIFE_S = 120.0
TRUTH_CHANGED = 3  # exit code of a program that did not keep what it claimed

AnySemaphore = asyncio.Semaphore | threading.Semaphore
Row = dict[str, Any]


def row(
    sem: AnySemaphore,
    name: str,
    bound: int | None,
    verdict: str,
    *,
    count: int = 0,
    holders: int = 0,
    waiters: int = 0,
    allowed: tuple[str, ...] = (),
    working: bool = False,
    counter: bool = False,
    note: str = "",
) -> Row:
    """One semaphore's truth.

    `bound` is what the program passed; `count` is permits lost or given twice. `working`: permits go round
    while the program lives, so value, holders and waiters are those of one moment. `counter`: what was passed
    does not bound its value (a signal, a limit raised on purpose).
    """
    return {
        "id": id(sem),
        "name": name,
        "kind": kind_of(sem),
        "bound": bound,
        "value": value_of(sem),
        "verdict": verdict,
        "allowed": list(allowed) or [verdict],
        "count": count,
        "holders": holders,
        "waiters": waiters,
        "working": working,
        "counter": counter,
        "note": note,
    }


def kind_of(sem: AnySemaphore) -> str:
    """The class of the standard library that a semaphore is, or comes from."""
    if isinstance(sem, asyncio.Semaphore):
        return (
            "asyncio.BoundedSemaphore" if isinstance(sem, asyncio.BoundedSemaphore) else "asyncio.Semaphore"
        )
    bounded = isinstance(sem, threading.BoundedSemaphore)
    return "threading.BoundedSemaphore" if bounded else "threading.Semaphore"


def value_of(sem: AnySemaphore) -> int:
    return int(sem._value)


def waiting_on(sem: AnySemaphore) -> int:
    if isinstance(sem, asyncio.Semaphore):
        return sum(not waiter.done() for waiter in getattr(sem, "_waiters", None) or ())
    return len(sem._cond._waiters)  # type: ignore[attr-defined]  # threading.Condition's deque of locks


def broken(claimed: Row, sem: AnySemaphore) -> str:
    """How a row does not agree with the object that it speaks of, or nothing."""
    if claimed["working"]:
        return ""
    if (value_of(sem), waiting_on(sem)) != (claimed["value"], claimed["waiters"]):
        return f"value {value_of(sem)}, waiters {waiting_on(sem)}"
    sign = -1 if claimed["verdict"] == "over-released" else 1
    total = claimed["value"] + claimed["holders"] + sign * claimed["count"]
    if not claimed["counter"] and total != claimed["bound"]:
        return f"value, holders and count make {total}"
    return ""


async def steady() -> None:
    """Let every task that can run reach its wait, in turns of the loop and not in seconds."""
    for _ in range(100):
        await asyncio.sleep(0)


def ready(*rows: Row) -> None:
    """Check the claim against the objects themselves, then say it."""
    settle(rows, "at the start")
    sys.stdout.write(json.dumps({"ready": True, "truth": rows}) + "\n")
    sys.stdout.flush()


def settle(rows: tuple[Row, ...], moment: str) -> None:
    """Leave with TRUTH_CHANGED when a row does not hold at this moment."""
    alive = {id(seen): seen for seen in gc.get_objects() if isinstance(seen, AnySemaphore)}
    for claimed in rows:
        sem = alive.get(claimed["id"])
        problem = "it is gone" if sem is None else broken(claimed, sem)
        if problem:
            sys.stderr.write(f"{claimed['name']} {moment}: {problem}, claimed {claimed}\n")
            sys.stderr.flush()
            os._exit(TRUTH_CHANGED)


def leave(rows: tuple[Row, ...]) -> None:
    """End at once: no teardown runs, which would give permits back or take them late."""
    settle(rows, "at the end")
    sys.stderr.flush()
    os._exit(0)


async def live(*rows: Row) -> None:
    """Claim, keep the event loop going until stdin ends (or LIFE_S), then leave the process."""
    ready(*rows)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def readable() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            ended.set()

    try:
        loop.add_reader(0, readable)
        await asyncio.wait_for(ended.wait(), LIFE_S)
    except (PermissionError, asyncio.TimeoutError):  # a plain file cannot be polled: it has ended already
        pass
    leave(rows)


def live_threads(*rows: Row) -> None:
    """The same for a main thread without an event loop."""
    ready(*rows)
    while select.select([0], [], [], LIFE_S)[0]:
        if not os.read(0, 4096):
            break
    leave(rows)
