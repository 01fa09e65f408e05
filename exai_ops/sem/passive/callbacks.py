"""Releases that something will call: timers, callbacks of futures, exit stacks, finalizers, executors.

A callable that gives a permit back is followed to what keeps it. One that is merely defined, captured or
stored under a class's or module's name gives nothing back by itself; one that is scheduled does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from exai_ops.sem.frames import Frames
from exai_ops.sem.objects import Objects
from exai_ops.sem.passive.functions import Functions
from exai_ops.sem.passive.resolve import Resolver, Scope
from exai_ops.sem.passive.taken import EXITS
from exai_ops.sem.referrers import Ref

_ROUNDS: Final = 3
_CONTAINERS: Final = frozenset({"list", "tuple", "deque", "set", "dict"})
_SCHEDULED: Final = {
    "asyncio.events.Handle": "timer",
    "asyncio.events.TimerHandle": "timer",
    "uvloop.loop.Handle": "timer",
    "uvloop.loop.TimerHandle": "timer",
    "threading.Timer": "timer thread",
    "weakref._Info": "finalizer",
    "weakref.finalize._Info": "finalizer",
    "concurrent.futures.thread._WorkItem": "executor",
    "concurrent.futures._base.Future": "future",
}
_ARGUMENTS: Final = ("_args", "args")


class Callback(NamedTuple):
    """Something that will give permits back when it is called.

    Attributes:
        callable: Its address.
        what: Where it waits: ``timer``, ``callback of a future``, ``exit stack``, ``kept by app.Lease``.
        times: How many times it is kept to be called.
        scheduled: Whether something of the library will call it, in place of the program.
        by: Names of the functions that it is, or calls, to give back.
    """

    callable: int
    what: str
    times: int
    scheduled: bool
    by: frozenset[str] = frozenset()


class Callbacks:
    """Finds them for the semaphores in question."""

    def __init__(
        self,
        objects: Objects,
        frames: Frames,
        resolver: Resolver,
        functions: Functions,
        semaphores: Mapping[int, Any],
    ) -> None:
        self._objects = objects
        self._frames = frames
        self._resolver = resolver
        self._functions = functions
        self._semaphores = semaphores
        self._gives: dict[int, dict[int, int]] = {}

    def of(
        self, refs: Mapping[int, Iterable[Ref]], functions: Mapping[int, list[Ref]], skip: set[int]
    ) -> dict[int, list[Callback]]:
        """Semaphore -> callbacks that give it permits back.

        Args:
            refs: Who refers to each semaphore.
            functions: Function objects whose code names a release, or one that does; who refers to each.
            skip: Bound methods that are accounted for.
        """
        callables: dict[int, dict[int, int]] = {}
        for semaphore, some in refs.items():
            for ref in some:
                if ref.how == "self" and ref.owner not in skip and self._is_release(ref.owner):
                    callables[ref.owner] = {semaphore: 1}
        unsure = set()
        for function in functions:
            gives = self.gives(function, ())
            if gives:
                callables[function] = gives
            else:
                unsure.add(function)
        return self._follow(callables, unsure, skip, functions)

    def _follow(
        self,
        callables: dict[int, dict[int, int]],
        unsure: set[int],
        skip: set[int],
        known: Mapping[int, list[Ref]],
    ) -> dict[int, list[Callback]]:
        """Go from callables to those that keep them, and from bound and partial ones on."""
        found: dict[int, list[Callback]] = {address: [] for address in self._semaphores}
        todo, seen = {*callables, *unsure}, set(skip)
        for _ in range(_ROUNDS):
            todo -= seen
            if not todo:
                break
            seen |= todo
            refs = {**known, **self._objects.referrers(todo - known.keys())}
            around = self._objects.referrers(self._containers({one: refs.get(one, []) for one in todo}))
            following: set[int] = set()
            for one in todo:
                following |= self._judge(one, refs.get(one, []), around, callables, found)
            todo = following
        return found

    def _containers(self, refs: Mapping[int, list[Ref]]) -> set[int]:
        kinds = self._objects.kind
        return {ref.owner for some in refs.values() for ref in some if kinds(ref.owner) in _CONTAINERS}

    def _judge(
        self,
        one: int,
        refs: list[Ref],
        around: Mapping[int, list[Ref]],
        callables: dict[int, dict[int, int]],
        found: dict[int, list[Callback]],
    ) -> set[int]:
        """Book what keeps a callable; the callables that are made of it."""
        following: set[int] = set()
        scheduled: list[tuple[str, dict[int, int]]] = []
        kept: list[str] = []
        for ref in refs:
            kind = self._objects.kind(ref.owner)
            if kind in {"method", "partial"}:
                gives = self._gives_of(ref.owner, kind)
                if gives:
                    callables[ref.owner] = gives
                following.add(ref.owner)
                continue
            gives = self._gives_with(one, ref, callables)
            if not gives:
                continue
            if kind == "cell":
                wrappers = self._wrappers(ref.owner)
                callables.update(dict.fromkeys(wrappers, gives))
                following |= wrappers
                continue
            what = self._scheduled_by(ref, kind, around)
            if what:
                scheduled.append((what, gives))
            elif self._kept_by(ref, kind, around):
                kept.append(self._type_name(ref.owner))
        for what, gives in scheduled:
            for semaphore, number in gives.items():
                found[semaphore].append(Callback(one, what, number, scheduled=True, by=self._by(one)))
        if kept and not scheduled:
            for semaphore, number in callables.get(one, {}).items():
                found[semaphore].append(Callback(one, f"kept by {kept[0]}", number, scheduled=False))
        return following

    def _wrappers(self, cell: int) -> set[int]:
        """Functions of the library around what a cell holds: ``ExitStack.callback`` makes one."""
        objects = self._objects
        closures = [
            ref.owner for ref in objects.referrers([cell]).get(cell, ()) if objects.kind(ref.owner) == "tuple"
        ]
        found = set()
        for some in objects.referrers(closures).values() if closures else ():
            for ref in some:
                function = objects.function(ref.owner)
                if function is not None and not self._functions.is_own(objects.code(function.code)):
                    found.add(ref.owner)
        return found

    def _by(self, one: int) -> frozenset[str]:
        """Names of the functions by which a callable gives back."""
        partial, method = self._objects.partial(one), self._objects.method(one)
        if partial is not None:
            return self._by(partial.func)
        function = self._objects.function(method[1] if method is not None else one)
        info = self._objects.code(function.code) if function is not None else None
        return frozenset() if info is None else frozenset({info.name, *info.names}) & self._functions.names

    # What a callable gives back

    def gives(self, function: int, args: Iterable[int], bound_to: int = 0) -> dict[int, int]:
        """Semaphore -> permits that a call gives back at most."""
        objects = self._objects
        known = objects.function(function)
        info = objects.code(known.code) if known else None
        if known is None or info is None or not self._functions.is_own(info):
            return {}
        names = {n: objects.cell(cell) for n, cell in zip(info.freevars, known.closure, strict=False)}
        given = [*([bound_to] if bound_to else []), *args]
        names.update((n, a) for n, a in zip(info.varnames, given, strict=False) if a)
        flow = self._functions.flow(info)
        if flow is None:
            return {}
        found = {}
        for semaphore, concern in self._functions.concerns(
            Scope(names, known.globals), info, self._semaphores
        ).items():
            net = flow.net(concern.match())
            sums = (net.returns or frozenset()) | (net.raises or frozenset())
            if net.returns is None:
                found[semaphore] = 1
            elif sums and min(sums) < 0:
                found[semaphore] = -min(sums)
        return found

    def _gives_of(self, address: int, kind: str) -> dict[int, int]:
        objects = self._objects
        if kind == "method":
            method = objects.method(address)
            if method is None:
                return {}
            if method[0] in self._semaphores:
                return {method[0]: 1} if self._is_release(address) else {}
            return self.gives(method[1], (), method[0])
        partial = objects.partial(address)
        if partial is None:
            return {}
        args = objects.sequence(partial.args)
        return self._gives_any(partial.func, args)

    def _gives_any(self, address: int, args: list[int]) -> dict[int, int]:
        method = self._objects.method(address)
        if method is None:
            return self.gives(address, args)
        if method[0] in self._semaphores:
            return {method[0]: 1} if self._is_release(address) else {}
        return self.gives(method[1], args, method[0])

    def _gives_with(self, one: int, ref: Ref, callables: Mapping[int, dict[int, int]]) -> dict[int, int]:
        """What it gives as it is kept there: with the arguments that are kept beside it."""
        known = callables.get(one)
        if known:
            return known
        held = self._objects.attributes(ref.owner) if self._objects.kind(ref.owner) == "instance" else {}
        args = next((held[name] for name in _ARGUMENTS if name in held), 0)
        return self._gives_any(one, self._objects.sequence(args)) if args else {}

    def _is_release(self, address: int) -> bool:
        """Whether a bound method of a semaphore gives back."""
        method = self._objects.method(address)
        function = self._objects.function(method[1]) if method else None
        name = function.qualname.rpartition(".")[2] if function else ""
        return name == "release" or name in EXITS

    # What keeps it

    def _scheduled_by(self, ref: Ref, kind: str, around: Mapping[int, list[Ref]]) -> str:
        """What of the library will call it, empty for nothing."""
        if kind in {"task", "future"} and "callback" in ref.how:
            info = self._frames.future(ref.owner)
            return "callback of a future" if info is not None and info.state == "pending" else ""
        if kind == "instance":
            return self._schedule(ref.owner)
        if kind in _CONTAINERS:
            for outer in around.get(ref.owner, ()):
                what = self._schedule_of_container(outer)
                if what:
                    return what
        return ""

    def _schedule_of_container(self, outer: Ref) -> str:
        kind = self._objects.kind(outer.owner)
        if kind in {"task", "future"} and "callback" in outer.how:
            info = self._frames.future(outer.owner)
            return "callback of a future" if info is not None and info.state == "pending" else ""
        if kind in {"list", "deque"}:
            for ref in self._objects.referrers([outer.owner]).get(outer.owner, ()):
                what = (
                    self._schedule_of_container(ref)
                    if self._objects.kind(ref.owner) not in {"list", "deque"}
                    else ""
                )
                if what:
                    return what
        if kind == "instance":
            name = self._type_name(outer.owner)
            if outer.how.endswith("_exit_callbacks"):
                return "exit stack"
            return self._schedule(outer.owner) if name in _SCHEDULED else ""
        return ""

    def _schedule(self, owner: int) -> str:
        """What a library's object that keeps callables will do, empty when it is none or is done."""
        what = next((_SCHEDULED[name] for name in self._type_names(owner) if name in _SCHEDULED), "")
        if not what:
            return ""
        held = self._objects.attributes(owner)
        if self._objects.integer(held.get("_cancelled", 0)):
            return ""
        finished = held.get("finished", 0)
        if finished and self._objects.integer(self._objects.attributes(finished).get("_flag", 0)):
            return ""
        future = held.get("future", 0)
        if future:  # of an executor's work: begun or cancelled, it calls nothing more
            state = self._objects.text(self._objects.attributes(future).get("_state", 0))
            return what if state == "PENDING" else ""
        state = self._objects.text(held.get("_state", 0))
        return "" if state in {"FINISHED", "CANCELLED_AND_NOTIFIED"} else what

    def _kept_by(self, ref: Ref, kind: str, around: Mapping[int, list[Ref]]) -> bool:
        """Whether the program keeps it to call it: in an object of its own, or in a container."""
        if kind == "instance":
            own = not any(name in _SCHEDULED for name in self._type_names(ref.owner))
            return own and not self._is_home(ref.owner)
        if kind in _CONTAINERS:
            return any(self._keeps(outer) for outer in around.get(ref.owner, ()))
        return False

    def _keeps(self, outer: Ref) -> bool:
        """Whether what has the container is the program's, and not the library's, which is done with it."""
        kind = self._objects.kind(outer.owner)
        if kind == "instance" and any(name in _SCHEDULED for name in self._type_names(outer.owner)):
            return False
        return kind not in {"function", "type", "code", "task", "future", ""}

    def _is_home(self, owner: int) -> bool:
        """Whether an object has the semaphore itself as an attribute."""
        return not self._semaphores.keys().isdisjoint(self._resolver.attributes(owner).values())

    def _type_names(self, owner: int) -> list[str]:
        objects = self._objects
        return [objects.types().get(one, "") for one in objects.mro(objects.type_of(owner))]

    def _type_name(self, owner: int) -> str:
        objects = self._objects
        return objects.types().get(objects.type_of(owner)) or objects.kind(owner)
