"""Objects that carry permits: leases that give one back, entries of a table, items of a queue.

An object is a lease when its class gives permits of the semaphore back and the object does not keep the
semaphore as its own. Code that gives back what it did not take, and that nothing live is about to run, may be
called at any time: it can do so as often as there is something for it to take from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from exai_ops.sem.codes import CodeInfo
from exai_ops.sem.flow import Flow
from exai_ops.sem.flow_model import Effect, Match
from exai_ops.sem.objects import Objects
from exai_ops.sem.passive.functions import Functions
from exai_ops.sem.passive.resolve import Resolver, Scope
from exai_ops.sem.passive.tokens import Token, Tokens
from exai_ops.sem.referrers import Ref

_CONTAINERS: Final = frozenset({"list", "dict", "set", "deque"})
_MOST_INSTANCES: Final = 5000
_SPENT: Final = frozenset(
    {"released", "closed", "done", "spent", "returned", "finished", "given_back", "freed"}
)
_ACTIVE: Final = frozenset({"active", "held", "open", "alive", "acquired", "in_use"})


@dataclass
class Carried:
    """What carries permits of one semaphore.

    Attributes:
        leases: Objects that give one back, and their type's name.
        tokens: Entries, items and numbers that stand for permits.
        open: Names of functions that may give any number back, since nothing says what they go by.
        loose: Objects that refer to the semaphore for no known reason, and what they are.
        consumed: Whether some code takes one after the other and never gives back: it is a signal.
    """

    leases: dict[int, str] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    loose: dict[int, str] = field(default_factory=dict)
    consumed: bool = False


@dataclass
class _Method:
    """A method of an object, and what it does to one semaphore."""

    info: CodeInfo
    scope: Scope
    lowest: int
    highest: int
    consumes: bool


class Leases:
    """Finds them for the semaphores in question."""

    def __init__(
        self, objects: Objects, resolver: Resolver, functions: Functions, semaphores: Mapping[int, Any]
    ) -> None:
        self._objects = objects
        self._resolver = resolver
        self._functions = functions
        self._semaphores = semaphores
        self._tokens = Tokens(objects, resolver)
        self._callers: dict[int, list[CodeInfo]] = {}
        self._homes: set[int] = set()

    def of(
        self, refs: Mapping[int, Iterable[Ref]], functions: Iterable[int], types: Mapping[int, set[int]]
    ) -> dict[int, Carried]:
        """Semaphore -> what carries its permits.

        Args:
            refs: Who refers to each semaphore.
            functions: Function objects whose code names a release.
            types: Type -> which of these functions are its methods.
        """
        found = {address: Carried() for address in self._semaphores}
        methods = {function for some in types.values() for function in some}
        instances = self._instances(types)
        for kind, objects in instances.items():
            known = {f for one in self._objects.mro(kind) for f in types.get(one, ())}
            self._class(kind, objects, known, found)
        for function in functions:
            if function not in methods:
                self._alone(function, found)
        for semaphore, some in refs.items():
            self._plain(semaphore, some, functions, found[semaphore])
            self._loose(some, found[semaphore])
        return found

    def _plain(self, semaphore: int, refs: Iterable[Ref], functions: Iterable[int], carried: Carried) -> None:
        """Book objects without methods of the kind, by whose attribute other code gives back."""
        released = self._released(functions)
        for ref in refs:
            kind, _, name = ref.how.partition(":")
            if (
                kind not in {"attr", "slot"}
                or name not in released
                or self._objects.kind(ref.owner) != "instance"
            ):
                continue
            if (
                not self._is_home(ref.owner, semaphore)
                and ref.owner not in self._homes | carried.leases.keys()
            ) and not self._is_spent(ref.owner):
                carried.leases[ref.owner] = self._objects.types().get(self._objects.type_of(ref.owner), "?")

    def _released(self, functions: Iterable[int]) -> set[str]:
        """Attributes that code calls ``release`` of, of something other than its own ``self``."""
        found = set()
        for address in functions:
            known = self._objects.function(address)
            info = self._objects.code(known.code) if known else None
            flow = self._functions.flow(info) if info else None
            for event in flow.events if flow is not None else ():
                if event.kind == "release":
                    for path in event.paths:
                        if len(path) > 1 and path[-1].startswith("attr:"):
                            found.add(path[-1].partition(":")[2])
        return found

    def _loose(self, refs: Iterable[Ref], carried: Carried) -> None:
        """Note several tuples with the semaphore in them, which nothing explains."""
        objects = self._objects
        tuples = [ref.owner for ref in refs if objects.kind(ref.owner) == "tuple"]
        if len(tuples) < 2:
            return
        for one, outer in objects.referrers(tuples).items():
            if any(objects.kind(ref.owner) in _CONTAINERS or ref.how.startswith("attr:") for ref in outer):
                carried.loose[one] = "tuple"

    def _instances(self, types: Mapping[int, set[int]]) -> dict[int, list[int]]:
        objects = self._objects
        wanted = {one for one in objects.types() if not types.keys().isdisjoint(objects.mro(one))}
        return {kind: some[:_MOST_INSTANCES] for kind, some in objects.instances(wanted).items() if some}

    # Classes

    def _class(self, kind: int, instances: list[int], functions: set[int], found: dict[int, Carried]) -> None:
        """Book the instances of a class, or what its methods go by."""
        homes: dict[int, list[tuple[int, list[_Method]]]] = {}
        leases: dict[int, list[int]] = {}
        for one in instances:
            if one in self._semaphores:
                self._own_methods(one, functions, found)
                continue
            for semaphore, methods in self._methods(one, functions).items():
                found[semaphore].consumed |= any(method.consumes for method in methods)
                gives = [method for method in methods if method.lowest < 0]
                takes = [method for method in methods if method.highest > 0]
                if not gives:
                    continue
                if self._is_home(one, semaphore) or takes:
                    self._homes.add(one)
                    homes.setdefault(semaphore, []).append((one, methods))
                elif not self._is_spent(one):
                    leases.setdefault(semaphore, []).append(one)
        name = self._objects.types().get(kind, "?")
        for semaphore, some in leases.items():
            found[semaphore].leases.update(dict.fromkeys(some, name))
        for semaphore, pairs in homes.items():
            if len(pairs) > 1 and not any(self._is_home(one, semaphore) for one, _ in pairs):
                found[semaphore].leases.update({one: name for one, _ in pairs if not self._is_spent(one)})
                continue
            for _, methods in pairs[:8]:
                self._home(methods, semaphore, found[semaphore])

    def _own_methods(self, semaphore: int, functions: set[int], found: dict[int, Carried]) -> None:
        """A subclass of a semaphore with methods of its own that release."""
        methods = self._methods(semaphore, functions).get(semaphore, [])
        extra = [m for m in methods if m.info.name not in {"release", "__aexit__", "__exit__", "acquire"}]
        self._home(extra, semaphore, found[semaphore])

    def _methods(self, one: int, functions: set[int]) -> dict[int, list[_Method]]:
        """Semaphore -> methods of an object that have to do with it."""
        found: dict[int, list[_Method]] = {}
        for address in functions:
            known = self._objects.function(address)
            info = self._objects.code(known.code) if known else None
            flow = self._functions.flow(info) if info else None
            if known is None or info is None or flow is None or not info.varnames:
                continue
            names = {n: self._objects.cell(c) for n, c in zip(info.freevars, known.closure, strict=False)}
            scope = Scope({**names, info.varnames[0]: one}, known.globals)
            for semaphore, concern in self._functions.concerns(scope, info, self._semaphores).items():
                lowest, highest = self._sums(info, concern.match())
                found.setdefault(semaphore, []).append(
                    _Method(info, scope, lowest, highest, self._consumes(flow, concern.match()))
                )
        return found

    @staticmethod
    def _consumes(flow: Flow, match: Match) -> bool:
        """Whether code takes permits in a loop that never ends, and has nothing that gives one back."""
        ahead = flow.ahead(-1, match)
        if ahead.owed or ahead.some("release", "enter", "exit", "release_given"):
            return False
        takes = [event.offset for event in ahead.events if event.kind == "acquire"]
        return flow.net(match).returns == frozenset() and any(
            flow.held(at, match).most is None for at in takes
        )

    def _sums(self, info: CodeInfo, match: Match) -> tuple[int, int]:
        flow = self._functions.flow(info)
        if flow is None:
            return 0, 0
        net = flow.net(match)
        if net.returns is None:
            ahead = flow.ahead(-1, match)
            return (-1 if ahead.owed else 0), (0 if ahead.owed else 1)
        return min(net.returns, default=0), max(net.returns, default=0)

    def _is_home(self, one: int, semaphore: int) -> bool:
        """Whether an object keeps the semaphore as its own: its class makes it."""
        names = {name for name, value in self._resolver.attributes(one).items() if value == semaphore}
        if not names:
            return False
        return any(self._makes(kind, names) for kind in self._objects.mro(self._objects.type_of(one))[:-1])

    def _makes(self, kind: int, names: set[str]) -> bool:
        """Whether a class gives one of these attributes what a call makes, in any of its methods."""
        found = [self._objects.function(value) for value in self._resolver.class_dict(kind).values()]
        infos = [self._objects.code(function.code) for function in found if function is not None]
        own = [info for info in infos if info is not None and self._functions.is_own(info)]
        naming = [info for info in own if not names.isdisjoint(info.names)]
        flows = [flow for info in naming if (flow := self._functions.flow(info)) is not None]
        if not own:
            return self._is_dataclass(kind)
        return any(
            event.kind == "store_attr"
            and event.path[-1].partition(":")[2] in names
            and event.args
            and event.args[0][-1] == "call"
            for flow in flows
            for event in flow.events
        )

    def _is_dataclass(self, kind: int) -> bool:
        return "__dataclass_fields__" in self._resolver.class_dict(kind)

    def _is_spent(self, one: int) -> bool:
        """Whether an object says of itself that it has given back."""
        for name, value in self._resolver.attributes(one).items():
            plain = name.strip("_")
            if plain in _SPENT and self._truth(value) is True:
                return True
            if plain in _ACTIVE and self._truth(value) is False:
                return True
        return False

    def _truth(self, value: int) -> bool | None:
        objects = self._objects
        if objects.type_name(objects.type_of(value)) != "bool":
            return None
        return bool(objects.integer(value))

    # What is called from elsewhere

    def _home(self, methods: list[_Method], semaphore: int, carried: Carried) -> None:
        """Book what the methods of a home that give back go by."""
        gives = [
            method
            for method in methods
            if method.lowest < 0
            and (
                self._resizes(method, semaphore)
                or not self._takes_first(method.info, method.scope, semaphore)
            )
        ]
        takes = {f"attr:{method.info.name}" for method in methods if method.highest > 0}
        for method in gives:
            self._open(method.info, method.scope, takes, carried)

    def _resizes(self, method: _Method, semaphore: int) -> bool:
        """Whether a method gives back any number that it did not take in the same call: it sets a limit."""
        flow = self._functions.flow(method.info)
        concern = self._functions.concerns(method.scope, method.info, self._semaphores).get(semaphore)
        if flow is None or concern is None:
            return False
        match = concern.match()
        return flow.net(match).returns is None and flow.ahead(-1, match).many

    def _alone(self, function: int, found: dict[int, Carried]) -> None:
        """The same for a function that is no method."""
        known = self._objects.function(function)
        info = self._objects.code(known.code) if known else None
        if known is None or info is None:
            return
        names = {n: self._objects.cell(c) for n, c in zip(info.freevars, known.closure, strict=False)}
        scope = Scope(names, known.globals)
        for semaphore, concern in self._functions.concerns(scope, info, self._semaphores).items():
            gives = self._sums(info, concern.match())[0] < 0
            flow = self._functions.flow(info)
            found[semaphore].consumed |= flow is not None and self._consumes(flow, concern.match())
            if not gives or self._takes_first(info, scope, semaphore):
                continue
            if "<locals>" not in known.qualname:
                self._open(info, scope, set(), found[semaphore])
            elif flow is not None:  # one that is kept to be called is a callback; here is what it goes by
                carried = found[semaphore]
                carried.tokens += [t for t in self._tokens.of(scope, info, flow) if t not in carried.tokens]

    def _takes_first(self, info: CodeInfo, scope: Scope, semaphore: int, depth: int = 2) -> bool:
        """Whether code asks for a permit itself, or by what it calls: it gives back no other's."""
        flow = self._functions.flow(info)
        if flow is None or not self._functions.of_interest(info):
            return False
        for event in flow.events:
            if event.kind == "acquire" and any(
                value.address == semaphore
                for path in event.paths
                for value in self._functions.values(scope, path, flow)
            ):
                return True
            if not depth or event.kind not in {"call", "acquire"}:
                continue
            for callee in event.callees:
                for value in self._functions.values(scope, callee, flow):
                    entered = self._functions.enter(value, scope, event)
                    if entered is not None and self._takes_first(*entered, semaphore, depth - 1):
                        return True
        return False

    def _open(self, info: CodeInfo, scope: Scope, takes: set[str], carried: Carried) -> None:
        """Book what a function that gives back, and may be called at any time, goes by."""
        flow = self._functions.flow(info)
        if flow is None:
            return
        tokens = self._tokens.of(scope, info, flow)
        if tokens:
            carried.tokens += [token for token in tokens if token not in carried.tokens]
            return
        if self._covered(info, takes):
            return
        carried.open.append(info.qualname)

    def _covered(self, info: CodeInfo, takes: set[str]) -> bool:
        """Whether all that call it take a permit first, hand it over as a callback, or are never run."""
        if info.address not in self._callers:
            self._callers[info.address] = self._functions.callers([info])
        callers = [one for one in self._callers[info.address] if one.address != info.address]
        if not callers:
            return False
        effects: dict[str, Effect] = {f"attr:{info.name}": "release", f"global:{info.name}": "release"}
        effects |= dict.fromkeys(takes - effects.keys(), "acquire")
        self._functions.prepare(callers)
        for caller in callers:
            flow = self._functions.flow(caller)
            if flow is None:
                return False
            net = flow.net(Match.of(frozenset(), effects))
            if net.returns is None or min(net.returns, default=0) < 0:
                return False
        return True
