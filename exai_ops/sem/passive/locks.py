"""Locks and conditions: of threads, of asyncio, and those that processes share.

A lock of the interpreter is a few bytes: whether it is locked and, for a reentrant one, the thread that owns
it. It does not say who locked a plain one, so only what is inside a ``with`` block on it is a sure holder,
and without one nothing is accused. A reentrant lock whose thread has ended is lost for good.

The standard library is full of locks of its own, which this leaves out: what is said is of locks that the
program keeps under a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from exai_ops.sem.frames import Frames
from exai_ops.sem.model import Holder, Semaphore, Waiter
from exai_ops.sem.objects import Objects
from exai_ops.sem.passive.family import SHARED, Shared, holders, read
from exai_ops.sem.passive.homes import Home, Homes
from exai_ops.sem.passive.live import Call, sites
from exai_ops.sem.passive.taken import EXITS
from exai_ops.sem.referrers import Ref

Calls = Callable[[], Sequence[Call]]

_PLAIN, _REENTRANT = "_thread.lock", "_thread.RLock"
_SIZES: Final = {_PLAIN: 40, _REENTRANT: 48}  # of these, up to 3.13; others are not read
_LOCKED, _OWNER, _COUNT = 32, 24, 32
_THREADING, _ASYNCIO = "threading.Condition", "asyncio.locks.Condition"
_KINDS: Final = {
    _PLAIN: "threading.Lock", _REENTRANT: "threading.RLock", _THREADING: "threading.Condition",
    _ASYNCIO: "asyncio.Condition",
}  # fmt: skip
_THREAD: Final = "threading.Thread"
_ENTERS: Final = frozenset({"__enter__", "__aenter__", "acquire"})
_WAITS: Final = frozenset({"wait", "wait_for"})
_BEST: Final = 2  # names of a higher rank are locals and closures
_POOL_S_OWN: Final = "concurrent.futures.thread.ThreadPoolExecutor._idle_semaphore"  # counts idle threads
_THREAD_S_OWN: Final = "_tstate_lock"  # locked while a thread lives, also of subclasses
_TRIES: Final = 4
_UNSURE: Final = Holder("unknown", "whoever locked it", permits=None, certain=False)
_ELSEWHERE: Final = Holder("process", "a process that cannot be read, or has ended", certain=False)


@dataclass(frozen=True, slots=True)
class _Lock:
    """A lock, or a condition with the lock in it.

    Attributes:
        inner: The lock itself.
        base: Qualified name of the class of that.
    """

    address: int
    kind: str
    inner: int
    base: str


class Locks:
    """Finds the locks of a program, and who is inside."""

    def __init__(self, objects: Objects, frames: Frames) -> None:
        self._objects = objects
        self._frames = frames
        self._own: _Own | None = None
        self._names: dict[tuple[int, str], tuple[str, ...]] = {}
        self._threads: list[int] = []

    def add(self, semaphores: Sequence[Semaphore], calls: Calls) -> tuple[Semaphore, ...]:
        """What was found already, with conditions in place of their locks, and the other locks.

        Args:
            semaphores: Of the scan.
            calls: Reads all calls again.
        """
        locks, shared = self._find()
        self._name([*locks, *shared])
        kept = {one: names for one in locks if (names := self._names[one.address, one.kind])}
        of_condition = {one.inner: one for one in locks if one.kind == _KINDS[_ASYNCIO]}
        rest = tuple(
            one for one in semaphores if one.address not in of_condition and one.where[:1] != (_POOL_S_OWN,)
        )
        return (*rest, *self._steady(kept, calls, semaphores), *self._shared(shared))

    def _find(self) -> tuple[list[_Lock], list[Shared]]:
        """Locks, and what processes share, in one pass that notes the threads beside."""
        objects = self._objects
        wanted, threads, shared = self._wanted(), objects.named(_THREAD), objects.named(SHARED)
        found = objects.instances({*wanted, *threads, *shared})
        self._threads = [address for kind in threads for address in found[kind]]
        locks = [
            lock
            for kind, base in wanted.items()
            for address in found[kind]
            if (lock := self._lock(address, base)) is not None
        ]
        return locks, read(objects, {kind: found[kind] for kind in shared}) if shared else []

    def _wanted(self) -> dict[int, str]:
        """The types of locks and conditions, each with the library's class that it is or derives from."""
        objects = self._objects
        known = objects.types()
        basic = objects.layout["tp_basicsize"]
        found = {}
        for kind in known:
            base = next((one for one in objects.mro(kind) if known.get(one) in _KINDS), 0)
            size = _SIZES.get(known.get(base, ""))
            if base and size in {None, objects.memory.u64(base + basic)}:
                found[kind] = known[base]
        return found

    def _lock(self, address: int, base: str) -> _Lock | None:
        objects = self._objects
        inner = address if base in _SIZES else objects.attributes(address).get("_lock", 0)
        of = objects.types().get(objects.type_of(inner), "")
        fits = of in _SIZES or (base == _ASYNCIO and of == "asyncio.locks.Lock")
        return _Lock(address, _KINDS[base], inner, of) if fits else None

    def _name(self, some: Sequence[_Lock | Shared]) -> None:
        """Note the names of those that are new."""
        new = [one for one in some if (one.address, one.kind) not in self._names]
        if not new:
            return
        homes = Homes(self._objects)
        if self._own is None:
            self._own = _Own(self._objects, homes.modules())
        refs = self._objects.referrers({one.address for one in new})
        named = homes.of({a for a, some in refs.items() if not all(map(self._own.is_library_s, some))})
        for one in new:
            every = one.kind == _KINDS[_ASYNCIO]
            self._names[one.address, one.kind] = self._own.names(named.get(one.address, ()), every=every)

    # Who is inside

    def _steady(
        self, kept: Mapping[_Lock, tuple[str, ...]], calls: Calls, semaphores: Sequence[Semaphore]
    ) -> Iterator[Semaphore]:
        """Each, read until whoever has it is found, or a few times."""
        before = {one.address: one for one in semaphores}
        free = {one: where for one, where in kept.items() if not self._locked(one)}
        for one, where in free.items():
            yield self._semaphore(one, where, (), {}, before.get(one.inner))
        left = {one: where for one, where in kept.items() if one not in free}
        for number in range(_TRIES):
            if not left:
                return
            now, owners = calls(), self._owners()
            for one, where in list(left.items()):
                said = self._semaphore(one, where, now, owners, before.get(one.inner))
                if said.bound == said.value + said.held or number == _TRIES - 1:
                    del left[one]
                    yield said

    def _semaphore(
        self,
        one: _Lock,
        where: tuple[str, ...],
        calls: Iterable[Call],
        owners: Mapping[int, Holder],
        asked: Semaphore | None,
    ) -> Semaphore:
        memory = self._objects.memory
        locked = self._locked(one)
        inside = list(self._inside(one, calls)) if locked else []
        if one.base == _REENTRANT and locked:
            owner = owners.get(memory.u64(one.inner + _OWNER))
            inside = [] if owner is None else [owner]
        elif locked and not inside:
            inside = [_UNSURE]
        return Semaphore(
            address=one.address,
            kind=one.kind,
            type_name="",
            where=where,
            value=0 if locked else 1,
            bound=1,
            waiters=() if asked is None else asked.waiters,
            granted=0 if asked is None else min(asked.granted, 0 if locked else 1),
            holders=tuple(inside[:1]),
        )

    def _locked(self, one: _Lock) -> bool:
        objects = self._objects
        if one.base == _REENTRANT:
            return bool(objects.memory.u64(one.inner + _COUNT))
        if one.base == _PLAIN:
            return bool(objects.memory.u8(one.inner + _LOCKED) & 1)
        return bool(objects.integer(objects.attributes(one.inner).get("_locked", 0)))

    def _inside(self, one: _Lock, calls: Iterable[Call]) -> Iterator[Holder]:
        """The calls in a ``with`` block on it; those that wait for its condition have let go of it."""
        both = {one.address, one.inner}
        for call in calls:
            if any(self._leaves(address) in both for address in call.frame.stack) and not self._out(
                call, both
            ):
                yield Holder("with", call.name, call.stack())

    def _leaves(self, address: int) -> int:
        """What an exit method on a frame's stack is bound to, 0 for anything else."""
        objects = self._objects
        if builtin := objects.builtin(address):
            return builtin[0] if builtin[1] in EXITS else 0
        method = objects.method(address)
        function = objects.function(method[1]) if method else None
        if not method or not function:
            return 0
        return method[0] if function.qualname.rpartition(".")[2] in EXITS else 0

    @staticmethod
    def _out(call: Call, both: set[int]) -> bool:
        """Whether a frame is being let in, or waits for a condition meanwhile."""
        inner = call.chain[call.index + 1 :]
        entering = inner[:1]
        return any(f.info.name in _ENTERS and f.locals.get("self") in both for f in entering) or any(
            f.info.name in _WAITS and f.locals.get("self") in both for f in inner
        )

    def _owners(self) -> dict[int, Holder]:
        """The threads that run, by their ids."""
        names = self._thread_names()
        return {
            one.ident: Holder(
                "owner", names.get(one.ident, f"thread {one.native}"), sites(reversed(one.frames))
            )
            for one in self._frames.threads()
        }

    def _thread_names(self) -> dict[int, str]:
        """Thread id -> the name that the program gave it."""
        objects = self._objects
        found = {}
        for address in self._threads:
            held = objects.attributes(address)
            ident, name = objects.integer(held.get("_ident", 0)), objects.text(held.get("_name", 0))
            if ident and name:
                found[ident] = f"thread {name}"
        return found

    # Shared by processes

    def _shared(self, found: Sequence[Shared]) -> Iterator[Semaphore]:
        kept = {one: names for one in found if (names := self._names[one.address, one.kind])}
        if not kept:
            return
        counts = {one.place: one.count for one in kept}
        having, whole = holders(counts, self._objects.memory.pid)
        for one, where in kept.items():
            yield _as_semaphore(one, where, having[one.place], whole=whole)


def _as_semaphore(one: Shared, where: tuple[str, ...], having: list[Holder], *, whole: bool) -> Semaphore:
    """With its holders, no more of them than permits are out: another process may give back what one took."""
    rest = [replace(_ELSEWHERE, permits=None)] if one.bound is None else []
    if one.bound is not None:
        out = one.bound - one.value
        surplus = sum(holder.permits or 0 for holder in having) - out
        if surplus > 0:
            having = [replace(holder, certain=False) for holder in having]
        elif surplus < 0:
            rest = [replace(_ELSEWHERE, permits=-surplus)]
    elif not whole:
        rest = [replace(_ELSEWHERE, name="a process that cannot be read", permits=None)]
    return Semaphore(
        address=one.address,
        kind=one.kind,
        type_name="",
        where=where,
        value=one.value,
        bound=one.bound,
        bound_from="stored" if one.bound is not None else "none",
        waiters=tuple(Waiter("a thread of one of the processes") for _ in range(min(one.waiting, 4096))),
        holders=(*having, *rest),
    )


class _Own:
    """Tells the program's own names from those of the standard library."""

    def __init__(self, objects: Objects, modules: Mapping[int, str]) -> None:
        self._objects = objects
        files = {name: self._file(table) for table, name in modules.items()}
        self._library = (files.get("threading") or "").removesuffix("threading.py")
        self._files = files
        self._tables = modules

    def _file(self, table: int) -> str:
        objects = self._objects
        for key, value in objects.dict_items(table)[:32]:
            if objects.text(key) == "__file__":
                return objects.text(value) or ""
        return ""

    def is_library_s(self, ref: Ref) -> bool:
        """Whether what refers is an object or a module of the standard library, or gives no name."""
        objects, kind = self._objects, self._objects.kind(ref.owner)
        if kind in {"builtin", "weakref", "set"}:
            return True
        if kind in {"dict", "module"}:
            table = objects.module_dict(ref.owner) if kind == "module" else ref.owner
            name = self._tables.get(table, "")
            return bool(name) and not self._module(f"{name}.x")
        if kind not in {"instance", "type"}:
            return False
        owner = ref.owner if kind == "type" else objects.type_of(ref.owner)
        text = objects.types().get(owner, "")
        return text.rpartition(".")[0] in self._files and not self._module(f"{text}.x")

    def names(self, homes: Iterable[Home], *, every: bool = False) -> tuple[str, ...]:
        """The names of something that the program keeps, none when only the library does.

        Args:
            every: Take what has no such name all the same.
        """
        good = [home.text for home in homes if self._is_good(home)]
        if good or not every:
            return tuple(good)
        return tuple(home.text for home in homes) or ("without a name",)

    def _is_good(self, home: Home) -> bool:
        return home.rank <= _BEST and home.name != _THREAD_S_OWN and self._module(home.text)

    def _module(self, text: str) -> bool:
        """Whether a name begins with a module of the program or of a package."""
        parts = text.split(".")
        for length in range(len(parts) - 1, 0, -1):
            name = ".".join(parts[:length])
            if name in self._files:
                file = self._files[name]
                return name == "__main__" or bool(
                    file
                    and (not self._library or not file.startswith(self._library) or "site-packages" in file)
                )
        return False
