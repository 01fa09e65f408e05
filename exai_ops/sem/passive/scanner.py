"""From a process to a scan: finds the semaphores and reads who has what, until it holds still."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from exai_ops.sem.flow_twin import FlowTwin
from exai_ops.sem.frames import Frames
from exai_ops.sem.memory import Memory
from exai_ops.sem.model import Scan, Semaphore, Waiter
from exai_ops.sem.objects import Objects
from exai_ops.sem.passive.bounds import Bound, Bounds
from exai_ops.sem.passive.functions import Functions
from exai_ops.sem.passive.homes import Home, Homes
from exai_ops.sem.passive.live import Live
from exai_ops.sem.passive.primitives import Primitive, Primitives
from exai_ops.sem.passive.resolve import Resolver
from exai_ops.sem.passive.taken import Taken
from exai_ops.sem.process import Process
from exai_ops.sem.twin import layout_of

_TASKS: Final = ("_asyncio.Task", "asyncio.tasks.Task")
_TRIES: Final = 8


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
        self._homes: dict[int, list[Home]] = {}
        self._looked = False
        self._bounds = Bounds(
            self.objects,
            self._resolver,
            root=f"/proc/{pid}/root" if self.process.contained else "",
            cwd=_folder(pid),
        )
        self._known: dict[int, Bound] = {}

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
        primitives = Primitives(self.objects)
        types = primitives.types()
        tasks = self.objects.named(*_TASKS)
        code = {self.objects.static[name] for name in ("coroutine", "generator", "async_generator")}
        instances = self.objects.instances({*types, *tasks, *code})
        found = {one.address: one for one in primitives.read(types, instances)}
        if not self._looked:
            self._functions.look()
            self._looked = True
        addresses = [address for kind in tasks for address in instances.get(kind, ())]
        suspended = [address for kind in code for address in instances.get(kind, ())]
        live = Live(self.objects, self._frames)
        live.read(addresses, suspended)
        taken = Taken(self.objects, self._resolver, self._functions, found)
        taken.read(live.calls)
        self._name(found)
        self._bound(found, live)
        semaphores = tuple(self._semaphore(one, taken, live) for one in found.values())
        return Scan(
            pid=self.process.pid,
            started_ticks=self.process.start_ticks,
            python=self._layout.release,
            at_s=time.monotonic(),
            took_s=time.monotonic() - began_s,
            semaphores=semaphores,
            tasks=len(live.tasks),
            threads=live.threads,
            notes=self.process.notes,
        )

    def _name(self, found: Mapping[int, Primitive]) -> None:
        new = [address for address in found if address not in self._homes]
        if new:
            self._homes.update(Homes(self.objects).of(new))

    def _bound(self, found: Mapping[int, Primitive], live: Live) -> None:
        """Look in the source for the bounds that are not stored."""
        self._bounds.known = frozenset(
            call.frame.info.filename for call in live.calls if self._functions.is_own(call.frame.info)
        )
        for address, one in found.items():
            if one.bound is not None or address in self._known:
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

    def _semaphore(self, one: Primitive, taken: Taken, live: Live) -> Semaphore:
        account = taken.accounts[one.address]
        waiters, granted = self._waiters(one, live)
        known = self._known.get(one.address)
        bound, bound_from = one.bound, "stored" if one.bound is not None else "none"
        if known is not None and one.bound is None:
            bound, bound_from = known.value, "no bound" if known.counts else "source"
        return Semaphore(
            address=one.address,
            kind=one.kind,
            type_name=one.type_name,
            where=tuple(home.text for home in self._homes.get(one.address, ())),
            value=one.value,
            bound=bound,
            bound_from=bound_from,
            built=known.built if known is not None else None,
            waiters=waiters,
            granted=granted,
            holders=tuple(account.holders),
        )

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


def _folder(pid: int) -> str:
    """The working folder of a process, which relative names of files start from."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""
