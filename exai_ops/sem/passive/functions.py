"""The functions of a process that have to do with permits: which they are, and what a call of one does.

A function is of interest when it names ``acquire`` or ``release``, or calls one that does by its name. The
standard library's own are not among them: they do what their names say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from exai_ops.sem.codes import CodeInfo
from exai_ops.sem.flow import Flow
from exai_ops.sem.flow_model import Effect, Event, Match, Path, last_names
from exai_ops.sem.flow_twin import CodeRequest, FlowTwin
from exai_ops.sem.objects import Objects
from exai_ops.sem.passive.resolve import Resolver, Scope, Value

VERBS: Final = ("acquire", "release")
_DEPTH: Final = 3
_DIRECT: Final = frozenset({"acquire", "release", "enter", "exit", "release_given", "enter_given"})
_CALLS: Final = frozenset({"call", "acquire", "release"})
_LOOKUPS: Final = frozenset({"attr:get", "attr:setdefault"})
_MOST_NAMES: Final = 512
_MOST_INDIRECT: Final = 1000
_DEADLINE_S: Final = 20.0


@dataclass
class Concern:
    """How a piece of code speaks of one semaphore.

    Attributes:
        names: Last names of the paths that lead to it.
        effects: Last name of a function -> what a call of it does to the semaphore.
    """

    names: set[str] = field(default_factory=set)
    effects: dict[str, Effect] = field(default_factory=dict)

    def match(self) -> Match:
        """As a question to a flow."""
        return Match.of(self.names, self.effects)


class Functions:
    """What is known of the functions of a process; flows are asked for once."""

    def __init__(self, objects: Objects, resolver: Resolver, twin: FlowTwin) -> None:
        self._objects = objects
        self._resolver = resolver
        self._twin = twin
        self._flows: dict[int, Flow | None] = {}
        self._nets: dict[tuple[int, Match], frozenset[int] | None] = {}
        self.direct: set[int] = set()
        """Code objects that name one of ``VERBS``."""
        self.names: set[str] = set()
        """Names of these functions."""
        self.library = ""
        """Folder of the standard library."""
        self._indirect: set[int] | None = None

    # Which are of interest

    def look(self) -> None:
        """Find the code objects that name ``acquire`` or ``release``, in two passes over the memory."""
        objects = self._objects
        self.direct = self._codes_naming(self._verbs())
        infos = [objects.code(address) for address in self.direct]
        named = {info.name for info in infos if info is not None and not info.name.startswith(("<", "__"))}
        self.names = set(sorted(named - set(VERBS))[:_MOST_NAMES])

    def indirect(self) -> set[int]:
        """Code objects that name one of ``names``, and none of ``VERBS``."""
        if self._indirect is None:
            objects = self._objects
            infos = [info for one in self.direct if (info := objects.code(one)) and info.name in self.names]
            words = {objects.memory.u64(info.address + objects.layout["co_name"]) for info in infos}
            self._indirect = set(sorted(self._codes_naming(words) - self.direct)[:_MOST_INDIRECT])
        return self._indirect

    def callers(self, infos: Iterable[CodeInfo]) -> list[CodeInfo]:
        """Code objects that name one of these functions."""
        objects = self._objects
        words = {objects.memory.u64(info.address + objects.layout["co_name"]) for info in infos}
        found = (objects.code(address) for address in sorted(self._codes_naming(words)))
        return [info for info in found if info is not None]

    def _codes_naming(self, words: set[int]) -> set[int]:
        """The program's code objects that name one of these words."""
        objects = self._objects
        if not words:
            return set()
        tuples = {start for places in objects.memory.find(words).values() for start in self._tuples(places)}
        offset = objects.layout["co_names"]
        places = objects.memory.find(tuples) if tuples else {}
        return {
            place - offset
            for found in places.values()
            for place in found
            if objects.kind(place - offset) == "code" and self.is_own(objects.code(place - offset))
        }

    def is_own(self, info: CodeInfo | None) -> bool:
        """Whether code is the program's or a package's, not the standard library's."""
        if info is None or info.filename.startswith("<frozen"):
            return False
        return not info.filename.startswith(self.library) or "site-packages" in info.filename

    def of_interest(self, info: CodeInfo) -> bool:
        """Whether code may do something to permits beside ``with`` blocks."""
        return info.address in self.direct or not self.names.isdisjoint(info.names)

    def _verbs(self) -> set[int]:
        """Addresses of the words themselves: names in code are one object each."""
        objects = self._objects
        found: set[int] = set()
        for address, name in objects.types().items():
            if name not in {"asyncio.locks.Semaphore", "threading.Semaphore"}:
                continue
            for method in self._resolver.class_dict(address).values():
                function = objects.function(method)
                info = objects.code(function.code) if function else None
                if info is None:
                    continue
                if not self.library and info.filename.startswith("/"):
                    folder = info.filename.rpartition("/")[0]
                    self.library = folder.removesuffix("/asyncio") + "/"
                found |= self._words(info)
        return found

    def _words(self, info: CodeInfo) -> set[int]:
        objects = self._objects
        table = objects.memory.u64(info.address + objects.layout["co_names"])
        name = objects.memory.u64(info.address + objects.layout["co_name"])
        return {one for one in (name, *objects.sequence(table)) if objects.text(one) in VERBS}

    def _tuples(self, places: Iterable[int]) -> Iterator[int]:
        """Where the tuples begin that these words are items of."""
        objects = self._objects
        first, kind = objects.layout["tuple_items"], objects.static["tuple"]
        for place in places:
            words = objects.memory.words(place - 8 * 256, 256) or objects.memory.words(place - 8 * 32, 32)
            for back in range(first // 8 - 1, len(words)):
                at = len(words) - back
                if words[at] == kind and back - 2 < words[at + 1] < 65536:
                    yield place - 8 * back - 8
                    break

    # Flows

    def flow(self, info: CodeInfo) -> Flow | None:
        """The flow of a code object, None when it cannot be had."""
        if info.address not in self._flows:
            self.prepare([info])
        return self._flows.get(info.address)

    def prepare(self, infos: Iterable[CodeInfo]) -> None:
        """Ask for several flows at once."""
        wanted = {info.address: info for info in infos if info.address not in self._flows}
        if wanted:
            answers = self._twin.ask(
                [self._request(info) for info in wanted.values()], deadline_s=_DEADLINE_S
            )
            for address in wanted:
                answer = answers.get(address)
                self._flows[address] = answer if isinstance(answer, Flow) else None

    def _request(self, info: CodeInfo) -> CodeRequest:
        return CodeRequest(
            code_id=info.address,
            bytecode=info.bytecode,
            names=info.names,
            varnames=info.varnames,
            cellvars=info.cellvars,
            freevars=info.freevars,
            consts=[self._constant(address) for address in info.consts],
            exceptiontable=info.exceptiontable,
            flags=info.flags,
            name=info.name,
            qualname=info.qualname,
            filename=info.filename,
            firstlineno=info.firstlineno,
            stacksize=info.stacksize,
        )

    def _constant(self, address: int) -> Any:
        objects = self._objects
        kind = objects.kind(address)
        if kind == "str":
            return objects.text(address)
        if kind == "int":
            number = objects.integer(address)
            return bool(number) if objects.type_name(objects.type_of(address)) == "bool" else number
        if kind == "code":
            info = objects.code(address)
            return {"code": info.name if info else "?"}
        if kind == "tuple":
            texts = [objects.text(item) for item in objects.sequence(address)[:256]]
            return texts if texts and all(text is not None for text in texts) else None
        return None

    # What code says of semaphores

    def concerns(
        self, scope: Scope, info: CodeInfo, semaphores: Mapping[int, Any], *, depth: int = _DEPTH
    ) -> dict[int, Concern]:
        """Semaphore -> how the code speaks of it, with these names."""
        flow = self.flow(info)
        if flow is None:
            return {}
        found: dict[int, Concern] = {}
        for event in flow.events:
            known = event.kind in _DIRECT and self._direct_concern(scope, flow, event, semaphores, found)
            if depth and event.callees and not known and event.kind in _CALLS:
                self._call_concern(scope, event, semaphores, found, depth)
        return found

    def _direct_concern(
        self,
        scope: Scope,
        flow: Flow,
        event: Event,
        semaphores: Mapping[int, Any],
        found: dict[int, Concern],
    ) -> bool:
        """Note the semaphores that an event's own paths lead to; whether there are any."""
        known = False
        for path in event.paths:
            for value in self.values(scope, path, flow):
                if value.address in semaphores:
                    names = {name for name in last_names(path) if ":" in name}
                    found.setdefault(value.address, Concern()).names.update(names)
                    known = True
        return known

    def values(self, scope: Scope, path: Path, flow: Flow, depth: int = _DEPTH) -> list[Value]:
        """What a path leads to, also through what calls give."""
        if "call" not in path:
            return self._resolver.values(scope, path)
        at = path.index("call")
        given = list(dict.fromkeys(self._given(scope, path[:at], flow, depth)))
        if "call" in path[at + 1 :]:
            return []
        return self._resolver.follow(scope, given, path[at + 1 :])

    def _given(self, scope: Scope, callee: Path, flow: Flow, depth: int) -> Iterator[Value]:
        """What a call of this callee gives: what it says to return, of a table what is in it."""
        calls = [event for event in flow.events if callee in event.callees]
        if not depth or not calls:
            return
        if callee[-1] in _LOOKUPS:
            tables = self._resolver.values(scope, callee[:-1])
            keys = [
                key
                for event in calls[:1]
                for arg in event.args[:1]
                for key in self._resolver.values(scope, arg)
            ]
            for table in tables:
                for key in keys[:1]:
                    found = self._resolver.item(table.address, key.address)
                    if found is not None:
                        yield found
            return
        for value in self._resolver.values(scope, callee):
            entered = self.enter(value, scope, calls[0])
            inner_flow = self.flow(entered[0]) if entered is not None else None
            if entered is None or inner_flow is None:
                continue
            for event in inner_flow.events:
                if event.kind == "return":
                    for path in event.paths:
                        yield from self.values(entered[1], path, inner_flow, depth - 1)

    def _call_concern(
        self,
        scope: Scope,
        event: Event,
        semaphores: Mapping[int, Any],
        found: dict[int, Concern],
        depth: int,
    ) -> None:
        for path in event.callees:
            if not self._may_matter(path):
                continue
            for value in self._resolver.values(scope, path):
                for address, sums in self.effect(value, scope, event, semaphores, depth=depth - 1).items():
                    if sums != frozenset({0}):
                        concern = found.setdefault(address, Concern())
                        for name in last_names(path):
                            if ":" in name:
                                concern.effects[name] = sums

    def _may_matter(self, path: Path) -> bool:
        return any(name in self.names or name in VERBS for name in last_names(path))

    def effect(
        self,
        callee: Value,
        scope: Scope,
        event: Event,
        semaphores: Mapping[int, Any],
        *,
        depth: int,
    ) -> dict[int, frozenset[int]]:
        """Semaphore -> sums that may come of a call that returns; only what is bounded."""
        if callee.bound_to in semaphores:
            return self._own_effect(callee)
        entered = self.enter(callee, scope, event)
        if entered is None:
            return {}
        info, inner = entered
        if not self.of_interest(info):
            return {}
        flow = self.flow(info)
        found = {}
        for address, concern in self.concerns(inner, info, semaphores, depth=depth).items():
            sums = self._net(flow, concern.match())
            if sums:
                found[address] = sums
        return found

    def _own_effect(self, callee: Value) -> dict[int, frozenset[int]]:
        """What a method of a semaphore itself does to it."""
        function = self._objects.function(callee.address)
        name = function.qualname.rpartition(".")[2] if function is not None else ""
        if name in {"acquire", "__aenter__", "__enter__"}:
            return {callee.bound_to: frozenset({1})}
        if name in {"release", "__aexit__", "__exit__"}:
            return {callee.bound_to: frozenset({-1})}
        return {}

    def enter(self, callee: Value, scope: Scope, event: Event) -> tuple[CodeInfo, Scope] | None:
        """The code that a call runs, with the names that it begins with."""
        objects = self._objects
        address, bound_to = callee
        method = objects.method(address)
        if method is not None:
            bound_to, address = method
        function = objects.function(address)
        if function is None:
            return None
        info = objects.code(function.code)
        if info is None or not self.is_own(info):
            return None
        names: dict[str, int] = {}
        for name, cell in zip(info.freevars, function.closure, strict=False):
            names[name] = objects.cell(cell)
        given = [bound_to] if bound_to else []
        positional = event.args[: len(event.args) - len(event.keywords)] if event.keywords else event.args
        for path in positional:
            values = self._resolver.values(scope, path)
            given.append(values[0].address if len(values) == 1 else 0)
        names.update((n, a) for n, a in zip(info.varnames, given, strict=False) if a)
        for name, path in zip(event.keywords, event.args[len(positional) :], strict=False):
            values = self._resolver.values(scope, path)
            if len(values) == 1:
                names[name] = values[0].address
        return info, Scope(names, function.globals)

    def _net(self, flow: Flow | None, match: Match) -> frozenset[int] | None:
        if flow is None:
            return None
        key = (id(flow), match)
        if key not in self._nets:
            self._nets[key] = flow.net(match).returns
        return self._nets[key]
