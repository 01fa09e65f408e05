"""What a path of a code object leads to in a frame of it: from names to addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from exai_ops.sem.flow_model import Path
from exai_ops.sem.frames import Frame
from exai_ops.sem.objects import Objects

_MOST: Final = 64
_PROXIES: Final = frozenset(
    {"weakproxy", "weakref.ProxyType", "weakref.CallableProxyType", "weakcallableproxy"}
)
_LITERALS: Final = {"None": None, "True": True, "False": False}


class Value(NamedTuple):
    """An object, and for a method what it is bound to."""

    address: int
    bound_to: int = 0


class Scope(NamedTuple):
    """Where the names of a piece of code lead: a frame's, or those of a call that is thought of."""

    locals: Mapping[str, int]
    globals: int


def scope_of(frame: Frame) -> Scope:
    """The names of a frame."""
    return Scope(frame.locals, frame.globals)


class Resolver:
    """Follows paths. What it learns of classes and modules is kept until ``forget``."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._classes: dict[int, dict[str, int]] = {}
        self._globals: dict[int, dict[str, int]] = {}
        self._attributes: dict[int, dict[str, int]] = {}

    def forget(self) -> None:
        """Forget what may have changed."""
        self._attributes.clear()
        self._globals.clear()
        self._classes.clear()

    def forget_objects(self) -> None:
        """Forget what may have changed within a moment: not what classes have."""
        self._attributes.clear()
        self._globals.clear()

    def values(self, scope: Scope, path: Path) -> list[Value]:
        """What a path leads to: none when that cannot be told, several for a loop's variable."""
        if not path:
            return []
        return self.follow(scope, self._start(scope, path[0]), path[1:])

    def follow(self, scope: Scope, found: list[Value], steps: Path) -> list[Value]:
        """What steps lead to from given values."""
        for step in steps:
            kind, _, name = step.partition(":")
            if kind == "attr":
                found = [v for one in found if (v := self.attribute(one.address, name)) is not None]
            elif kind == "item":
                found = [v for one in found if (v := self._item(scope, one.address, name)) is not None]
            elif kind == "each":
                found = [Value(item) for one in found for item in self._items(one.address)][:_MOST]
            else:
                return []
            if not found:
                return []
        return found

    def attribute(self, address: int, name: str) -> Value | None:
        """An attribute of an instance, of its class, or of a module."""
        objects = self._objects
        module = objects.module_dict(address)
        if module:
            found = self.globals(module).get(name, 0)
            return Value(found) if found else None
        own = self.attributes(address).get(name, 0)
        if own:
            return Value(own)
        if objects.kind(address) == "type":
            found = self.of_class(address, name)
            return Value(found) if found else None
        kind = objects.type_of(address)
        if objects.type_name(kind) in _PROXIES:
            behind = objects.memory.u64(address + objects.layout["wr_object"])
            return self.attribute(behind, name) if behind != address else None
        found = self.of_class(kind, name) if kind else 0
        if not found:
            return self._forwarded(address, kind, name)
        return Value(found, address if objects.kind(found) == "function" else 0)

    def _forwarded(self, address: int, kind: int, name: str) -> Value | None:
        """What a class that forwards by ``__getattr__`` has of what it wraps, when that is one thing."""
        if not kind or name.startswith("__") or not self.of_class(kind, "__getattr__"):
            return None
        wrapped = [one for one in self.attributes(address).values() if self._objects.kind(one) == "instance"]
        found = [value for one in wrapped if (value := self._plain_attribute(one, name)) is not None]
        return found[0] if len(found) == 1 else None

    def _plain_attribute(self, address: int, name: str) -> Value | None:
        """An attribute without forwarding."""
        own = self.attributes(address).get(name, 0)
        found = own or self.of_class(self._objects.type_of(address), name)
        if not found:
            return None
        return Value(found, address if not own and self._objects.kind(found) == "function" else 0)

    def attributes(self, address: int) -> dict[str, int]:
        """An instance's own attributes."""
        known = self._attributes.get(address)
        if known is None:
            known = self._attributes[address] = self._objects.attributes(address)
        return known

    def of_class(self, kind: int, name: str) -> int:
        """What a class or one of its bases has under a name, 0 for nothing."""
        for one in self._objects.mro(kind):
            found = self.class_dict(one).get(name, 0)
            if found:
                return found
        return 0

    def class_dict(self, kind: int) -> dict[str, int]:
        """A class's own names."""
        known = self._classes.get(kind)
        if known is None:
            objects = self._objects
            table = objects.memory.u64(kind + objects.layout["tp_dict"])
            known = self._classes[kind] = self._names(table)
        return known

    def globals(self, table: int) -> dict[str, int]:
        """The names in a dict of globals."""
        known = self._globals.get(table)
        if known is None:
            known = self._globals[table] = self._names(table)
        return known

    def _names(self, table: int) -> dict[str, int]:
        text = self._objects.text
        return {name: value for key, value in self._objects.dict_items(table) if (name := text(key))}

    def _start(self, scope: Scope, first: str) -> list[Value]:
        kind, _, name = first.partition(":")
        found = 0
        if kind in {"local", "free"}:
            found = scope.locals.get(name, 0)
        elif kind == "global":
            found = self.globals(scope.globals).get(name, 0) if scope.globals else 0
        return [Value(found)] if found else []

    def item(self, address: int, key: int) -> Value | None:
        """What a dict has under a key that is an object."""
        return self._by_key(address, key)

    def _item(self, scope: Scope, address: int, key: str) -> Value | None:
        """What a dict has under a key, or a sequence at an index."""
        objects = self._objects
        if key.startswith(("local:", "free:", "global:")):
            wanted = self.values(scope, tuple(key.split(".")))
            if len(wanted) != 1:
                return None
            return self._by_key(address, wanted[0].address)
        literal = _literal(key)
        if isinstance(literal, int):
            items = objects.sequence(address)
            if -len(items) <= literal < len(items):
                return Value(items[literal])
        for one, value in self._pairs(address):
            if literal is not None and literal in (objects.text(one), objects.integer(one)):
                return Value(value)
        return None

    def _by_key(self, address: int, key: int) -> Value | None:
        objects = self._objects
        for one, value in self._pairs(address):
            if one == key:
                return Value(value)
        text = objects.text(key)
        number = objects.integer(key) if text is None else None
        if text is None and number is None:
            return None
        for one, value in self._pairs(address):
            if (text is not None and objects.text(one) == text) or (
                number is not None and objects.integer(one) == number
            ):
                return Value(value)
        return None

    def _pairs(self, address: int) -> list[tuple[int, int]]:
        return self._objects.dict_items(address)[:4096]

    def _items(self, address: int) -> list[int]:
        objects = self._objects
        found = objects.sequence(address)[:_MOST]
        return found or [key for key, _ in self._pairs(address)][:_MOST]


def _literal(text: str) -> str | int | None:
    """A constant as a path says it: its ``repr``."""
    if text in _LITERALS:
        return None
    if text[:1] in {"'", '"'} and text[-1:] == text[:1]:
        return text[1:-1]
    try:
        return int(text)
    except ValueError:
        return None
