"""Semaphores that processes share: whose permits are out, counted in each process that has them mapped.

``_multiprocessing.SemLock`` keeps how often its own process took it and did not give back; the value lies in
shared memory. No process knows what the others have, so the counts of all that can be read are summed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exai_ops.errors import CouldNotLook
from exai_ops.sem.memory import Memory
from exai_ops.sem.model import Holder
from exai_ops.sem.objects import Objects
from exai_ops.sem.process import Process
from exai_ops.sem.twin import layout_of

SHARED: Final = "multiprocessing.synchronize.SemLock"
KINDS: Final = {
    f"multiprocessing.synchronize.{name}": f"multiprocessing.{name}"
    for name in ("BoundedSemaphore", "Semaphore", "Lock", "RLock")
}
_HANDLE, _COUNT, _MOST, _SIZE = 16, 32, 36, 56
_ENDLESS: Final = (1 << 31) - 1
_MAX_FAMILY: Final = 64


@dataclass(frozen=True, slots=True)
class Shared:
    """One of them, in one process.

    Attributes:
        address: Of the object of ``multiprocessing``.
        value: Permits that are free.
        bound: None for a plain semaphore, which does not keep it.
        waiting: How many wait for it, in all processes.
        count: Permits that this process took and did not give back; below zero for the other way round.
        place: File and offset of what is shared, the same in every process.
    """

    address: int
    kind: str
    value: int
    bound: int | None
    waiting: int
    count: int
    place: tuple[str, int]


def read(objects: Objects, instances: Mapping[int, list[int]]) -> list[Shared]:
    """Those among the instances of the types that derive from ``SHARED``, with their numbers now."""
    ours, types = _places(objects.memory.pid), objects.types()
    found = []
    for kind, addresses in instances.items():
        name = next((KINDS[n] for one in objects.mro(kind) if (n := types.get(one)) in KINDS), "")
        found += [_one(objects, address, name, ours) for address in addresses]
    return [one for one in found if one is not None]


def _one(objects: Objects, address: int, name: str, ours: Mapping[tuple[int, int], str]) -> Shared | None:
    memory, inner = objects.memory, objects.attributes(address).get("_semlock", 0)
    kind = objects.type_of(inner)
    if not name or memory.u64(kind + objects.layout["tp_basicsize"]) != _SIZE:
        return None
    handle, most = memory.u64(inner + _HANDLE), memory.i32(inner + _MOST)
    span = next((span for span in ours if span[0] <= handle < span[1]), None)
    now = memory.peek(handle, 8)
    if span is None or now is None or most < 1:
        return None
    value = int.from_bytes(now[:4], "little")
    waiting = int.from_bytes(now[4:], "little")
    bound = None if most == _ENDLESS else most
    count = memory.i32(inner + _COUNT)
    count = min(count, most) if name.endswith("RLock") else count
    return Shared(address, name, value, bound, waiting, count, (ours[span], handle - span[0]))


def holders(
    mine: Mapping[tuple[str, int], int], pid: int
) -> tuple[dict[tuple[str, int], list[Holder]], bool]:
    """The processes that have permits of each, and whether all that share it could be read.

    Args:
        mine: Place -> count of the process ``pid``.
    """
    found = {place: _process(pid, count) for place, count in mine.items()}
    files = {file for file, _ in mine}
    whole = True
    for other in _sharing(files, pid):
        try:
            counts = _counts(other)
        except CouldNotLook:
            whole = False
            continue
        for place, count in counts.items():
            if place in found:
                found[place] += _process(other, count)
    return found, whole


def _process(pid: int, count: int) -> list[Holder]:
    return [Holder("process", f"process {pid}", permits=count)] if count > 0 else []


def _counts(pid: int) -> dict[tuple[str, int], int]:
    process = Process.open(pid)
    with closing(Memory(pid)) as memory:
        objects = Objects(memory, layout_of(process))
        found = read(objects, objects.instances(objects.named(SHARED)))
        return {one.place: one.count for one in found}


def _sharing(files: set[str], pid: int) -> list[int]:
    """Other processes that have one of the files mapped."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    found = (other for other in pids if other != pid and not files.isdisjoint(_places(other).values()))
    return sorted(found)[:_MAX_FAMILY]


def _places(pid: int) -> dict[tuple[int, int], str]:
    """(start, end) -> what identifies its file, for the shared mappings of a process that can be read."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        words = line.split(maxsplit=5)
        if len(words) > 5 and words[1].endswith("s"):
            start, _, end = words[0].partition("-")
            found[int(start, 16), int(end, 16)] = f"{words[3]}:{words[4]}:{words[2]}"
    return found
