"""Whether what gives a permit back is only called, made or filled by code that has taken one just before.

A function, an object or an entry of a table stands for permits that are out only then. Where some code
calls a release, makes a lease or fills a table without having taken a permit, or nothing shows who does, it
may be about a permit that was taken long ago: how many will come back that way cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from exai_ops.sem.codes import CodeInfo
from exai_ops.sem.flow import Flow
from exai_ops.sem.flow_model import Effect, Event, Match, Path, last_names
from exai_ops.sem.objects import Objects
from exai_ops.sem.passive.functions import Concern, Functions
from exai_ops.sem.passive.resolve import Resolver
from exai_ops.sem.passive.tokens import Token

_PUTS: Final = frozenset(
    {
        "append", "appendleft", "add", "put", "put_nowait", "setdefault", "update", "extend", "extendleft",
        "insert", "heappush", "push", "set",
    }
)  # fmt: skip
_TOO_PLAIN: Final = _PUTS | {"get", "pop", "run", "close", "__init__", "send", "read", "write"}
_EMPTY: Final = (("seq",), ("unknown",))
_KINDS: Final = ("attr:", "global:", "free:", "local:")
_MOST: Final = 64
_DEPTH: Final = 3
_NEWLOCALS: Final = 2  # of co_flags: the body of a class or a module has not got it


class Origins:
    """Learns how code speaks of semaphores, then answers for them."""

    def __init__(self, objects: Objects, resolver: Resolver, functions: Functions) -> None:
        self._objects = objects
        self._resolver = resolver
        self._functions = functions
        self._known: dict[int, Concern] = {}
        self._local: dict[tuple[int, int], set[str]] = {}
        self._mentions: dict[frozenset[int], list[CodeInfo] | None] = {}
        self._answers: dict[tuple[int, int], bool] = {}

    def learn(self, semaphore: int, info: CodeInfo, concern: Concern, *, takes: bool) -> None:
        """Note how a function speaks of a semaphore, and whether it takes one if anything."""
        known = self._known.setdefault(semaphore, Concern())
        known.names |= {name for name in concern.names if not name.startswith("local:")}
        self._local.setdefault((semaphore, info.address), set()).update(concern.names)
        if takes and info.name not in _TOO_PLAIN:
            known.effects.update(dict.fromkeys((kind + info.name for kind in _KINDS), "acquire"))

    def match(self, semaphore: int, info: CodeInfo, release: str = "") -> Match:
        """What denotes a semaphore in some code; with the name of one more function that gives back."""
        known = self._known.get(semaphore, Concern())
        names = known.names | self._local.get((semaphore, info.address), set())
        effects: dict[str, Effect] = dict(known.effects)
        if release:
            effects.update(dict.fromkeys((kind + release for kind in _KINDS), "release"))
        return Match.of(names, effects)

    # Questions

    def called_after(self, info: CodeInfo, semaphore: int, depth: int = _DEPTH) -> bool:
        """Whether all code that calls a function, or hands it on, takes a permit before that."""
        key = (info.address, semaphore)
        if key in self._answers:
            return self._answers[key]
        self._answers[key] = False  # what calls itself proves nothing
        found = self._answers[key] = self._all_after(info, semaphore, depth)
        return found

    def called_by_taker(self, info: CodeInfo, semaphore: int) -> bool:
        """Whether some code that takes a permit calls a function after that, or hands it on."""
        for code in self._mentioning({self._functions.name_word(info)}) or ():
            flow = self._functions.flow(code)
            match = self.match(semaphore, code)
            for event in flow.events if flow is not None else ():
                if flow is not None and _says(event, info.name):
                    held = flow.held(event.offset, match)
                    if held.most != 0 or held.with_most != 0:
                        return True
        return False

    def made_after(self, kind: int, semaphore: int) -> bool:
        """Whether all code that makes an instance of a class takes a permit before that."""
        name = self._objects.type_name(kind).rpartition(".")[2]
        mentions = self._mentioning({self._word_of_class(kind, name)})
        made = False
        for code in mentions or ():
            flow = self._functions.flow(code)
            calls = [event for event in flow.events if _calls(event, name)] if flow else []
            made |= bool(calls)
            if calls and not (
                self._each_after(flow, code, calls, semaphore)
                or self.called_after(code, semaphore, _DEPTH - 1)
            ):
                return False
        return made and mentions is not None

    def filled_after(self, token: Token, semaphore: int) -> bool:
        """Whether all code that fills a container, or adds to a number, takes a permit before."""
        kind, _, name = token.name.partition(":")
        if kind not in {"attr", "global"}:
            return False
        mentions = self._mentioning(token.words)
        filled = False
        for code in mentions or ():
            flow = self._functions.flow(code)
            puts = list(_puts(flow, name, new=code.name == "__init__")) if flow else []
            filled |= bool(puts)
            if puts and not (
                self._each_after(flow, code, puts, semaphore)
                or self.called_after(code, semaphore, _DEPTH - 1)
            ):
                return False
        return filled and mentions is not None

    # How they are answered

    def _word_of_class(self, kind: int, name: str) -> int:
        """Address of the name under which the module of a class has it, 0 when it has none."""
        objects = self._objects
        for value in self._resolver.class_dict(kind).values():
            function = objects.function(value)
            for key, found in objects.dict_items(function.globals) if function is not None else ():
                if found == kind and objects.text(key) == name:
                    return key
        return 0

    def _all_after(self, info: CodeInfo, semaphore: int, depth: int) -> bool:
        name = info.name
        mentions = self._mentioning({self._functions.name_word(info)})
        callers = [code for code in mentions or () if code.address != info.address]
        if not callers or mentions is None:
            return False
        return all(
            self._after(code, name, semaphore)
            or (depth > 0 and self.called_after(code, semaphore, depth - 1))
            for code in callers
        )

    def _after(self, code: CodeInfo, name: str, semaphore: int) -> bool:
        """Whether some code takes a permit before it calls a function or hands it on."""
        flow = self._functions.flow(code)
        if flow is None:
            return False
        match = self.match(semaphore, code, name)
        about = [event for event in flow.events if _says(event, name)]
        handed = [event for event in about if not _calls(event, name)]
        if not about or not self._each_after(flow, code, handed, semaphore):
            return False
        net = flow.net(match)
        if net.returns is None or min(net.returns, default=0) < 0:
            return False
        return bool(net.returns) or not flow.ahead(-1, match).owed

    def _each_after(self, flow: Flow | None, code: CodeInfo, events: list[Event], semaphore: int) -> bool:
        if flow is None:
            return False
        match = self.match(semaphore, code)
        return all(flow.held(event.offset, match).least > 0 for event in events)

    def _mentioning(self, words: Iterable[int]) -> list[CodeInfo] | None:
        """Functions that name a word, None when they are too many to look at."""
        key = frozenset(words) - {0}
        if key not in self._mentions:
            codes = [info for info in self._functions.naming(key) if info.flags & _NEWLOCALS]
            self._mentions[key] = codes if len(codes) <= _MOST else None
            self._functions.prepare(self._mentions[key] or ())
        return self._mentions[key]


def _calls(event: Event, name: str) -> bool:
    return any(path and path[-1].partition(":")[2] == name for path in event.callees)


def _says(event: Event, name: str) -> bool:
    return any(name in _names(path) for path in (*event.paths, *event.args, *event.callees))


def _names(path: Path) -> set[str]:
    return {part.partition(":")[2] for part in path}


def _puts(flow: Flow, name: str, *, new: bool) -> Iterator[Event]:
    """What puts something into a container of this name, or makes a number of this name more.

    Args:
        new: Whether this begins an object, which makes its containers.
    """
    for event in flow.events:
        if event.kind == "store_item" and any(name in _names(path[:-1]) for path in event.paths):
            yield event
        elif event.kind in {"store_attr", "store_global"} and any(
            name in {one.partition(":")[2] for one in last_names(path)} | last_names(path)
            for path in event.paths
        ):
            given = event.args[0] if event.args else ()
            if given not in {*_EMPTY, ("const:0",)} and not (new and "call" in given):
                yield event
        elif event.callees and any(
            callee and callee[-1].partition(":")[2] in _PUTS and _into(callee, event, name)
            for callee in event.callees
        ):
            yield event


def _into(callee: Path, event: Event, name: str) -> bool:
    """Whether a method of the container is called, or a function that is given it first."""
    if name in _names(callee[:-1]):
        return True
    return callee[-1].startswith("global:") and bool(event.args and name in _names(event.args[0][-1:]))
