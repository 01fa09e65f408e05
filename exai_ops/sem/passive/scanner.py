"""From a process to a scan: finds the semaphores and reads who has what, until it holds still."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from exai_ops.sem.flow_twin import FlowTwin
from exai_ops.sem.frames import Frames
from exai_ops.sem.memory import Memory
from exai_ops.sem.model import Holder, Scan, Semaphore, Waiter
from exai_ops.sem.objects import Objects
from exai_ops.sem.passive.bounds import Bound, Bounds
from exai_ops.sem.passive.callbacks import Callback, Callbacks
from exai_ops.sem.passive.functions import Functions
from exai_ops.sem.passive.homes import Home, Homes
from exai_ops.sem.passive.leases import Carried, Leases
from exai_ops.sem.passive.live import Live
from exai_ops.sem.passive.primitives import Primitive, Primitives
from exai_ops.sem.passive.resolve import Resolver
from exai_ops.sem.passive.settle import settle, unexplained
from exai_ops.sem.passive.taken import Account, Taken
from exai_ops.sem.process import Process
from exai_ops.sem.twin import layout_of

_TASKS: Final = ("_asyncio.Task", "asyncio.tasks.Task")
_CODE: Final = ("coroutine", "generator", "async_generator")
_TRIES: Final = 12
_SAMPLES: Final = 4
_UNSTEADY: Final = "it changes faster than it can be read"


@dataclass
class _Seen:
    """A semaphore at a moment when it held still."""

    primitive: Primitive
    account: Account
    waiters: tuple[Waiter, ...]
    granted: int
    steady: bool
    holders: list[Holder] = field(default_factory=list)

    def missing(self, bound: int | None) -> int | None:
        """Permits that are out."""
        return None if bound is None else bound - self.primitive.value - self.granted


class PassiveScanner:
    """Looks at one process from outside: reads its memory, and nothing else.

    Raises:
        CouldNotLook: It is gone, cannot be read, or is no Python that can be understood.
    """

    def __init__(self, pid: int) -> None:
        self.process = Process.open(pid)
        self._layout = layout_of(self.process)
        self._memory = Memory(pid)
        self.objects = Objects(self._memory, self._layout)
        self._frames = Frames(self.objects)
        self._resolver = Resolver(self.objects)
        self._twin = FlowTwin([self.process.exe])
        self._functions = Functions(self.objects, self._resolver, self._twin)
        self._primitives = Primitives(self.objects)
        self._homes: dict[int, list[Home]] = {}
        self._looked = False
        self._bounds = Bounds(
            self.objects,
            self._resolver,
            root=f"/proc/{pid}/root" if self.process.contained else "",
            cwd=_folder(pid),
        )
        self._known: dict[int, Bound] = {}
        self._tasks = 0
        self._threads = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._twin.close()
        self._memory.close()

    def scan(self) -> Scan:
        """What there is now."""
        began_s = time.monotonic()
        self.objects.forget()
        self._resolver.forget()
        types = self._primitives.types()
        if not self._looked:
            self._functions.look()
            self._looked = True
        seen = self._steady(types)
        self._name({address: one.primitive for address, one in seen.items()})
        self._bound(seen)
        self._settle(seen, types)
        semaphores = tuple(self._semaphore(one) for one in seen.values())
        now_s = time.monotonic()
        return Scan(
            pid=self.process.pid,
            started_ticks=self.process.start_ticks,
            python=self._layout.release,
            at_s=now_s,
            took_s=now_s - began_s,
            semaphores=semaphores,
            tasks=self._tasks,
            threads=self._threads,
            notes=self.process.notes,
        )

    # Reading until it holds still

    def _steady(self, types: Mapping[int, str]) -> dict[int, _Seen]:
        """Every semaphore, read again while one changed under the reading."""
        seen = self._sample(types)
        for _ in range(_TRIES):
            if all(one.steady for one in seen.values()):
                break
            for address, again in self._sample(types).items():
                if address not in seen or not seen[address].steady:
                    seen[address] = again
        return seen

    def _sample(self, types: Mapping[int, str]) -> dict[int, _Seen]:
        """Every semaphore as it is now; steady is what was the same before and after."""
        self._memory.refresh()
        self._resolver.forget()
        tasks = self.objects.named(*_TASKS)
        code = {self.objects.static[name] for name in _CODE}
        instances = self.objects.instances({*types, *tasks, *code})
        self._memory.refresh()
        found = {one.address: one for one in self._primitives.read(types, instances)}
        live = Live(self.objects, self._frames)
        live.read(
            [address for kind in tasks for address in instances.get(kind, ())],
            [address for kind in code for address in instances.get(kind, ())],
        )
        self._tasks, self._threads = len(live.tasks), live.threads
        self._bounds.known = frozenset(
            call.frame.info.filename for call in live.calls if self._functions.is_own(call.frame.info)
        )
        taken = Taken(self.objects, self._resolver, self._functions, found)
        taken.read(live.calls)
        self._on_stacks = taken.on_stacks
        self._memory.refresh()
        seen = {}
        for address, one in found.items():
            waiters, granted = self._waiters(one, live)
            after = self._again(one, types)
            steady = after == one
            seen[address] = _Seen(one, taken.accounts[address], waiters, granted, steady)
        return seen

    def _again(self, one: Primitive, types: Mapping[int, str]) -> Primitive | None:
        kind = self.objects.type_of(one.address)
        return self._primitives.again(one.address, types[kind], kind) if kind in types else None

    def _waiters(self, one: Primitive, live: Live) -> tuple[tuple[Waiter, ...], int]:
        found, granted = [], 0
        for future in one.waiters:
            info = self._frames.future(future)
            if info is None or info.state == "cancelled":
                continue
            given = info.state == "done"
            granted += given
            task = live.task_of.get(future, 0)
            name = live.tasks[task].name if task else "?"
            found.append(Waiter(name, live.stack_of(task), given))
        return tuple(found), granted

    # What is missing, and what carries it

    def _settle(self, seen: Mapping[int, _Seen], types: Mapping[int, str]) -> None:
        """Give each its holders; where permits are still missing, look at objects and callbacks too."""
        missing = {address: self._missing(one) for address, one in seen.items()}
        for address, one in seen.items():
            one.holders = settle(missing[address], one.account)
        self._settle_again(seen, types)
        open_ = {a for a, one in seen.items() if one.steady and self._unexplained(one) > 0}
        if not open_:
            return
        carried, callbacks = self._carriers(open_)
        for address in open_:
            one = seen[address]
            one.holders = settle(self._missing(one), one.account, carried[address], callbacks[address])

    def _settle_again(self, seen: Mapping[int, _Seen], types: Mapping[int, str]) -> None:
        """Look again at what would be accused, and keep the reading that accuses least."""
        for _ in range(_SAMPLES):
            doubtful = [a for a, one in seen.items() if one.steady and self._unexplained(one) != 0]
            if not doubtful:
                return
            again = self._sample(types)
            for address in doubtful:
                new = again.get(address)
                if new is None or not new.steady:
                    continue
                new.holders = settle(self._missing(new), new.account)
                if abs(self._unexplained(new)) < abs(self._unexplained(seen[address])):
                    self._replace(seen[address], new)

    @staticmethod
    def _replace(old: _Seen, new: _Seen) -> None:
        old.primitive, old.account = new.primitive, new.account
        old.waiters, old.granted, old.holders = new.waiters, new.granted, new.holders

    def _missing(self, one: _Seen) -> int | None:
        return one.missing(self._bound_of(one.primitive)[0])

    def _unexplained(self, one: _Seen) -> int:
        missing = self._missing(one)
        return 0 if missing is None else unexplained(missing, one.holders)

    def _carriers(self, semaphores: set[int]) -> tuple[dict[int, Carried], dict[int, list[Callback]]]:
        wanted = dict.fromkeys(semaphores)
        refs = self.objects.referrers({*semaphores, *self._functions.direct})
        functions = {
            ref.owner
            for address in self._functions.direct
            for ref in refs.get(address, ())
            if self.objects.kind(ref.owner) == "function"
        }
        self._functions.prepare(
            info
            for function in functions
            if (known := self.objects.function(function)) and (info := self.objects.code(known.code))
        )
        types: dict[int, set[int]] = {}
        for function, some in self.objects.referrers(functions).items():
            for ref in some:
                if self.objects.kind(ref.owner) == "type":
                    types.setdefault(ref.owner, set()).add(function)
        carried = Leases(self.objects, self._resolver, self._functions, wanted).of(functions, types)
        callbacks = Callbacks(self.objects, self._frames, self._resolver, self._functions, wanted)
        found = callbacks.of({a: refs.get(a, []) for a in semaphores}, functions, self._on_stacks)
        return carried, found

    # Names and bounds

    def _name(self, found: Mapping[int, Primitive]) -> None:
        new = [address for address in found if address not in self._homes]
        if new:
            self._homes.update(Homes(self.objects).of(new))

    def _bound(self, seen: Mapping[int, _Seen]) -> None:
        """Look in the source for the bounds that are not stored."""
        for address, one in seen.items():
            if one.primitive.bound is not None or address in self._known:
                continue
            classes = self._class_names(address)
            for home in self._homes.get(address, ()):
                bound = self._bounds.of(home, classes)
                if bound is not None:
                    self._known[address] = bound
                    break

    def _class_names(self, address: int) -> frozenset[str]:
        kinds = self.objects.mro(self.objects.type_of(address))[:-1]
        return frozenset(self.objects.type_name(kind).rpartition(".")[2] for kind in kinds)

    def _bound_of(self, one: Primitive) -> tuple[int | None, str]:
        if one.bound is not None:
            return one.bound, "stored"
        known = self._known.get(one.address)
        if known is None:
            return None, "none"
        return known.value, "no bound" if known.counts else "source"

    def _semaphore(self, one: _Seen) -> Semaphore:
        primitive = one.primitive
        bound, bound_from = self._bound_of(primitive)
        known = self._known.get(primitive.address)
        return Semaphore(
            address=primitive.address,
            kind=primitive.kind,
            type_name=primitive.type_name,
            where=tuple(home.text for home in self._homes.get(primitive.address, ())),
            value=primitive.value,
            bound=bound,
            bound_from=bound_from,
            built=known.built if known is not None else None,
            waiters=one.waiters,
            granted=one.granted,
            holders=tuple(one.holders),
            why="" if one.steady or self._unexplained(one) == 0 else _UNSTEADY,
        )


def _folder(pid: int) -> str:
    """The working folder of a process, which relative names of files start from."""
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""
