"""The semaphores, locks and limiters of a process: where they lie, and their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from exai_ops.sem.objects import Objects


@dataclass(frozen=True, slots=True)
class Primitive:
    """One of them, as it was read.

    Attributes:
        kind: The library's class: ``asyncio.BoundedSemaphore``.
        type_name: The object's own class, when it derives from that.
        value: Permits that are free.
        bound: Permits in all, None when it does not keep that.
        waiters: Addresses of the futures in its queue, in order.
        inner: Addresses of objects that belong to it: a threading semaphore's condition and lock.
    """

    address: int
    kind: str
    type_name: str
    value: int
    bound: int | None
    waiters: tuple[int, ...] = ()
    inner: tuple[int, ...] = field(default=())


Numbers = tuple[int, int | None, tuple[int, ...]]
_Reader = Callable[[Objects, int, Mapping[str, int]], Numbers | None]


def _asyncio_semaphore(objects: Objects, _: int, held: Mapping[str, int]) -> Numbers | None:
    value = objects.integer(held.get("_value", 0))
    if value is None or "_waiters" not in held:
        return None
    bound = objects.integer(held.get("_bound_value", 0))
    if bound is None and "_bounded" in held:  # TrackedSemaphore keeps it
        bound = objects.integer(held.get("bound", 0))
    return value, bound, tuple(objects.sequence(held["_waiters"]))


def _asyncio_lock(objects: Objects, _: int, held: Mapping[str, int]) -> Numbers | None:
    if "_locked" not in held or "_waiters" not in held:
        return None
    locked = objects.integer(held["_locked"])
    return 1 - bool(locked), 1, tuple(objects.sequence(held["_waiters"]))


def _threading_semaphore(objects: Objects, _: int, held: Mapping[str, int]) -> Numbers | None:
    value = objects.integer(held.get("_value", 0))
    if value is None or "_cond" not in held:
        return None
    condition = objects.attributes(held["_cond"])
    bound = objects.integer(held.get("_initial_value", 0))
    return value, bound, tuple(objects.sequence(condition.get("_waiters", 0)))


def _anyio_semaphore(objects: Objects, _: int, held: Mapping[str, int]) -> Numbers | None:
    held = _adapted(objects, held)
    value = objects.integer(held.get("_value", 0))
    if value is None:
        return None
    return value, objects.integer(held.get("_max_value", 0)), tuple(objects.sequence(held.get("_waiters", 0)))


def _anyio_limiter(objects: Objects, _: int, held: Mapping[str, int]) -> Numbers | None:
    held = _adapted(objects, held)
    total = objects.integer(held.get("_total_tokens", 0))
    if total is None or "_borrowers" not in held:
        return None  # of unlimited tokens: there is nothing to lose
    out = len(objects.sequence(held["_borrowers"]))
    waiting = tuple(key for key, _ in objects.dict_items(held.get("_wait_queue", 0)))
    return total - out, total, waiting


def _adapted(objects: Objects, held: Mapping[str, int]) -> Mapping[str, int]:
    """Attributes of what is behind an adapter; those that are given when there is none."""
    inner = next((held[name] for name in ADAPTERS.values() if name in held), 0)
    return objects.attributes(inner) if inner and inner != objects.none else held


ADAPTERS: Final[Mapping[str, str]] = {
    "anyio._core._synchronization.SemaphoreAdapter": "_internal_semaphore",
    "anyio._core._synchronization.CapacityLimiterAdapter": "_internal_limiter",
}
"""What anyio gives to who makes one before an event loop runs, and where it keeps the real one."""

KINDS: Final[Mapping[str, tuple[str, _Reader]]] = {
    "asyncio.locks.BoundedSemaphore": ("asyncio.BoundedSemaphore", _asyncio_semaphore),
    "asyncio.locks.Semaphore": ("asyncio.Semaphore", _asyncio_semaphore),
    "asyncio.locks.Lock": ("asyncio.Lock", _asyncio_lock),
    "threading.BoundedSemaphore": ("threading.BoundedSemaphore", _threading_semaphore),
    "threading.Semaphore": ("threading.Semaphore", _threading_semaphore),
    "anyio._core._synchronization.Semaphore": ("anyio.Semaphore", _anyio_semaphore),
    "anyio._core._synchronization.SemaphoreAdapter": ("anyio.Semaphore", _anyio_semaphore),
    "anyio._backends._asyncio.Semaphore": ("anyio.Semaphore", _anyio_semaphore),
    "anyio._backends._asyncio.CapacityLimiter": ("anyio.CapacityLimiter", _anyio_limiter),
    "anyio._core._synchronization.CapacityLimiterAdapter": ("anyio.CapacityLimiter", _anyio_limiter),
}
"""The library's classes by qualified name, the more special ones first."""


class Primitives:
    """Finds them, and reads their numbers again."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def types(self) -> dict[int, str]:
        """The type objects of these classes and their subclasses -> the library's class."""
        objects = self._objects
        known = {address: name for address, name in objects.types().items() if name in KINDS}
        found: dict[int, str] = {}
        for address in objects.types():
            of = next((known[base] for base in objects.mro(address) if base in known), None)
            if of is not None:
                found[address] = of
        return found

    def read(self, types: Mapping[int, str], instances: Mapping[int, list[int]]) -> Iterator[Primitive]:
        """Those among the instances of the types that can be read."""
        behind = self._behind(types, instances)
        for kind, addresses in instances.items():
            for address in addresses if kind in types else ():
                found = self.again(address, types[kind], kind) if address not in behind else None
                if found is not None:
                    yield found

    def _behind(self, types: Mapping[int, str], instances: Mapping[int, list[int]]) -> set[int]:
        """What stands behind an adapter, which the program knows in its place."""
        objects = self._objects
        named = {kind: objects.types().get(kind, "") for kind in types}
        adapters = {kind: ADAPTERS[name] for kind, name in named.items() if name in ADAPTERS}
        return {
            objects.attributes(address).get(name, 0)
            for kind, name in adapters.items()
            for address in instances.get(kind, ())
        }

    def again(self, address: int, base: str, kind: int) -> Primitive | None:
        """One of them, None when it is none any more.

        Args:
            address: Where it lies.
            base: Qualified name of the library's class.
            kind: Address of its own type.
        """
        objects = self._objects
        if objects.type_of(address) != kind:
            return None
        name, reader = KINDS[base]
        held = objects.attributes(address)
        numbers = reader(objects, address, held)
        if numbers is None:
            return None
        value, bound, waiters = numbers
        own = objects.types().get(kind, base)
        inner = tuple(held[part] for part in ("_cond",) if part in held)
        return Primitive(
            address, name, "" if own == base or own in ADAPTERS else own, value, bound, waiters, inner
        )
