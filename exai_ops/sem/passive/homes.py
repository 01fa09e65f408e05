"""What names a semaphore: the attribute, global, key or closure by which a person knows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from exai_ops.sem.objects import Objects
from exai_ops.sem.referrers import Ref

_DEPTH: Final = 4
_MOST: Final = 4


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
    """Names objects by who refers to them."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._modules: dict[int, str] | None = None

    def of(self, addresses: Iterable[int]) -> dict[int, list[Home]]:
        """Places that keep each of the objects, the best name first; none when nothing names it."""
        wanted = set(addresses)
        refs: dict[int, list[Ref]] = {}
        todo = set(wanted)
        for _ in range(_DEPTH):
            if not todo:
                break
            refs.update(self._objects.referrers(todo))
            todo = {
                ref.owner
                for address in todo
                for ref in refs[address]
                if ref.owner and ref.owner not in refs and self._leads_on(ref)
            }
            if len(todo) > 4096:
                break
        return {address: self._homes(address, refs) for address in wanted}

    def _leads_on(self, ref: Ref) -> bool:
        """Whether what holds it has no name of its own."""
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
            return [
                Home(f"{self._class(ref.owner)}.{name}", ref.owner, name, 1 if owner == "instance" else 0)
            ]
        if kind == "key" and owner == "dict":
            module = self.modules().get(ref.owner)
            if module is not None:
                plain = name.strip("'")
                return [Home(f"{module}.{plain}", ref.owner, plain, 0)]
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
        from exai_ops.sem.frames import Frames

        frame = Frames(self._objects).coroutine_frame(address)
        return frame.info.qualname if frame is not None else self._objects.kind(address)

    def _module(self, table: int) -> str:
        return self.modules().get(table, "?")

    def modules(self) -> dict[int, str]:
        """Dict of globals -> name of its module, for the modules that there are."""
        if self._modules is None:
            objects = self._objects
            found = objects.instances({objects.static["module"]})
            self._modules = {}
            for address in found.get(objects.static["module"], ()):
                table = objects.module_dict(address)
                for key, value in objects.dict_items(table)[:16]:
                    if objects.text(key) == "__name__":
                        self._modules[table] = objects.text(value) or "?"
                        break
        return self._modules
