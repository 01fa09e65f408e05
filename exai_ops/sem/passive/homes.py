"""What names a semaphore: the attribute, global, key or closure by which a person knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from exai_ops.sem.frames import Frames
from exai_ops.sem.objects import Objects
from exai_ops.sem.referrers import Ref, References, is_entry, resolved
from exai_ops.sem.tables import Tables

Leave: TypeAlias = Callable[[int, list[Ref]], bool]

_DEPTH: Final = 4
_MOST_STEPS: Final = 4096
_MOST: Final = 4
_LOOPS: Final = ("asyncio.", "_asyncio.", "uvloop.", "selectors.")
_PASSING: Final = 10  # worse than any other name: where an event loop keeps it for a moment


@dataclass(frozen=True, slots=True)
class Home:
    """One place that keeps it.

    Attributes:
        text: ``app.Pool._slots``, ``app.POOLS['a']``, ``closure crawl.<locals>.fetch sem``.
        owner: The object that holds it there: an instance, a dict, a cell.
        name: The attribute, global or variable, empty for a key.
        rank: How good a name it is, the lowest best.
        scope: For a variable, the qualified name of a function that sees it.
    """

    text: str
    owner: int
    name: str
    rank: int
    scope: str = ""


class Homes:
    """Names objects by who refers to them.

    Args:
        objects: What reads them.
        modules: The module objects that there are, where that is known.
        tables: Of all containers, the same.
        calls: Coroutines and generators, the same.
    """

    def __init__(
        self,
        objects: Objects,
        modules: Iterable[int] | None = None,
        tables: Tables | None = None,
        calls: Iterable[int] = (),
    ) -> None:
        self._objects = objects
        self._frames = Frames(objects)
        self._references = References(objects, tables, calls)
        self._known = modules
        self._modules: dict[int, tuple[int, str]] | None = None

    def of(self, addresses: Iterable[int], leave: Leave | None = None) -> dict[int, list[Home]]:
        """Places that keep each of the objects, the best name first; none when nothing names it.

        Args:
            addresses: Of the objects.
            leave: Whether one is left without a name, by who refers to it.
        """
        wanted = candidates = set(addresses)
        refs: dict[int, list[Ref]] = {}
        pending: dict[int, list[Ref]] = {}  # as long as it is not known whose dicts are in it
        holders = {table: module for table, (module, _) in self._tables().items()}
        for depth in range(_DEPTH + 1):
            dicts = {ref.owner for some in pending.values() for ref in some if is_entry(ref)}
            dicts -= holders.keys()
            places = self._references.places(dicts if depth == _DEPTH else dicts | candidates)
            holders |= self._references.holders_at({one: places[one] for one in dicts})
            refs |= {address: resolved(some, holders) for address, some in pending.items()}
            if depth == 1 and leave is not None:
                wanted = {one for one in wanted if not leave(one, refs[one])}
            todo = self._steps(pending.keys() & wanted if depth == 1 else pending, refs) if depth else wanted
            if not todo or len(todo) > _MOST_STEPS or depth == _DEPTH:
                break
            pending = self._references.to({one: places[one] for one in todo})
            candidates = self._steps(pending, refs | pending) - holders.keys()
        return {address: self._homes(address, refs) for address in wanted}

    def _steps(self, addresses: Iterable[int], refs: Mapping[int, list[Ref]]) -> set[int]:
        """What holds these, has no name of its own, and was not asked for."""
        return {
            ref.owner
            for address in addresses
            for ref in refs[address]
            if ref.owner and ref.owner not in refs and self._leads_on(ref)
        }

    def _leads_on(self, ref: Ref) -> bool:
        return self._objects.kind(ref.owner) in {"dict", "list", "tuple", "set", "deque", "cell"}

    def _homes(self, address: int, refs: Mapping[int, list[Ref]]) -> list[Home]:
        found = {home.text: home for ref in refs.get(address, ()) for home in self._named(ref, refs, _DEPTH)}
        ordered = sorted(found.values(), key=lambda home: (home.rank, home.text))
        return ordered[:_MOST]

    def _named(  # noqa: PLR0911 - a case for each kind of owner
        self, ref: Ref, refs: Mapping[int, list[Ref]], depth: int
    ) -> list[Home]:
        kind, _, name = ref.how.partition(":")
        objects = self._objects
        owner = objects.kind(ref.owner)
        if kind == "attr" and owner == "module":
            return [Home(f"{self._module(objects.module_dict(ref.owner))}.{name}", ref.owner, name, 0)]
        if kind in {"attr", "slot"} and owner in {"instance", "type"}:
            of = self._class(ref.owner)
            rank = (owner == "instance") + (_PASSING if of.startswith(_LOOPS) else 0)
            return [Home(f"{of}.{name}", ref.owner, name, rank)]
        if kind == "key" and owner == "dict":
            module = self._tables().get(ref.owner)
            if module is not None:
                plain = name.strip("'")
                return [Home(f"{module[1]}.{plain}", ref.owner, plain, 0)]
        if kind == "local" and ref.owner:
            call = self._call(ref.owner)
            return [Home(f"local {name} of {call}", ref.owner, name, 5, call)]
        if kind == "thread":
            return [Home(f"local {name.rpartition(':')[2]} of a thread", 0, name.rpartition(":")[2], 6)]
        if owner == "cell":
            return self._captured(ref, refs)
        if owner == "tuple" and kind == "index":
            for outer in refs.get(ref.owner, ()):
                function = objects.function(outer.owner) if outer.how == "slot:__defaults__" else None
                if function is not None:
                    return [Home(f"{function.qualname}.__defaults__[{name}]", outer.owner, "", 2)]
        if depth and owner in {"dict", "list", "tuple", "set", "deque"}:
            step = f"[{name}]" if kind in {"key", "index"} and name else "[...]"
            return [
                Home(f"{home.text}{step}", ref.owner, "", home.rank + 1)
                for outer in refs.get(ref.owner, ())
                for home in self._named(outer, refs, depth - 1)
            ][:_MOST]
        return []

    def _captured(self, ref: Ref, refs: Mapping[int, list[Ref]]) -> list[Home]:
        """A variable of a function that inner functions use."""
        found = []
        objects = self._objects
        for outer in refs.get(ref.owner, ()):
            kind, _, name = outer.how.partition(":")
            if kind == "local" and outer.owner:
                call = self._call(outer.owner)
                found.append(Home(f"local {name} of {call}", ref.owner, name, 4, call))
            elif objects.kind(outer.owner) == "tuple" and outer.how.startswith("index:"):
                for closed in refs.get(outer.owner, ()):
                    function = objects.function(closed.owner)
                    info = objects.code(function.code) if function else None
                    if function and info and int(name) < len(info.freevars):
                        variable = info.freevars[int(name)]
                        found.append(
                            Home(
                                f"closure {variable} of {function.qualname}",
                                ref.owner,
                                variable,
                                3,
                                function.qualname,
                            )
                        )
        return found

    def _class(self, address: int) -> str:
        objects = self._objects
        kind = address if objects.kind(address) == "type" else objects.type_of(address)
        return objects.types().get(kind) or objects.type_name(kind)

    def _call(self, address: int) -> str:
        info = self._frames.suspended_in(address)
        return info.qualname if info is not None else self._objects.kind(address)

    def _module(self, table: int) -> str:
        return self._tables().get(table, (0, "?"))[1]

    def modules(self) -> dict[int, str]:
        """Dict of globals -> name of its module, for the modules that there are."""
        return {table: name for table, (_, name) in self._tables().items()}

    def _tables(self) -> dict[int, tuple[int, str]]:
        """Dict of globals -> its module, and that one's name."""
        if self._modules is None:
            objects = self._objects
            kind = objects.static["module"]
            known = objects.instances({kind})[kind] if self._known is None else self._known
            self._modules = {}
            for address in known:
                table = objects.module_dict(address)
                for key, value in objects.dict_items(table)[:16]:
                    if objects.text(key) == "__name__":
                        self._modules[table] = (address, objects.text(value) or "?")
                        break
        return self._modules
