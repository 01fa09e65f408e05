"""The types of a live process: which there are, how they derive, where their instances lie."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable
from typing import Final

from exai_ops.sem.layout import Layout
from exai_ops.sem.maps import base_of
from exai_ops.sem.memory import Memory
from exai_ops.sem.search import Search

HEAPTYPE: Final = 1 << 9
HAVE_GC: Final = 1 << 14
MANAGED_DICT: Final = 1 << 4
INLINE_VALUES: Final = 1 << 2
_TYPE_SUBCLASS: Final = 1 << 31
_COUNT: Final = (1 << 32) - 1  # of references; since 3.14 flags lie above
_TRIES: Final = 3
_PAIR: Final = struct.Struct("<QQ")
_UNTRACKED: Final = frozenset({"dict", "tuple", "frozenset"})  # collections that the collector may let go of


class Types:
    """Types and liveness; the base of :class:`exai_ops.sem.objects.Objects`."""

    def __init__(self, memory: Memory, layout: Layout) -> None:
        self.memory = memory
        self.layout = layout
        base = base_of(memory.maps(), layout.image) or 0
        self.image = base
        self.static = {name: base + offset for name, offset in layout.static_types.items()}
        self.none = base + layout["none"]
        self._type = self.static["type"]
        self._names: dict[int, str] = {}
        self._types: dict[int, str] | None = None
        self._mros: dict[int, list[int]] = {}
        self._flags: dict[int, int] = {}
        self._most = _COUNT if layout.minor < (3, 14) else (1 << 64) - 1
        self._off_name = layout["tp_name"]
        self._off_mro = layout["tp_mro"]
        self._off_items = layout["tuple_items"]
        self._off_flags = layout["tp_flags"]

    def forget(self) -> None:
        """Forget which types there are, and every page that was read."""
        self.memory.refresh()
        self._types = None
        self._names.clear()
        self._mros.clear()
        self._flags.clear()

    def type_of(self, address: int) -> int:
        """The address of an object's type, 0 when it cannot be read."""
        return self.memory.u64(address + 8)

    def type_name(self, address: int) -> str:
        """A type's ``tp_name``: qualified with its module for those written in C, bare for the others."""
        name = self._names.get(address)
        if name is None:
            name = self.memory.text(self.memory.u64(address + self._off_name)) or "?"
            self._names[address] = name
        return name

    def mro(self, address: int) -> list[int]:
        """The types in a type's method resolution order, itself first."""
        found = self._mros.get(address)
        if found is None:
            found = self._tuple(self.memory.u64(address + self._off_mro), 256)
            self._mros[address] = found
        return found

    def flags(self, address: int) -> int:
        """A type's ``tp_flags``."""
        found = self._flags.get(address)
        if found is None:
            found = self._flags[address] = self.memory.u64(address + self._off_flags)
        return found

    def is_type(self, address: int) -> bool:
        """Whether a type object lies here."""
        if address in self.static.values():
            return True
        if not address or address & 7:
            return False
        kind = self.type_of(address)
        if kind != self._type and not (kind and self.memory.u64(kind + self._off_flags) & _TYPE_SUBCLASS):
            return False
        order = self.mro(address)
        return bool(order) and order[0] == address and order[-1] == self.static["object"]

    def types(self) -> dict[int, str]:
        """Every type there is, with its name: ``module.Name`` where that is known."""
        if self._types is None:
            self._types = {}
            new = self._types_of({self._type})
            while new:
                self._types.update(new)
                meta = {one for one in new if self.flags(one) & _TYPE_SUBCLASS and one != self._type}
                new = self._types_of(meta) if meta else {}
        return self._types

    def subtypes(self, address: int) -> set[int]:
        """A type and all that derive from it."""
        return {one for one in self.types() if address in self.mro(one)} | {address}

    def named(self, *names: str) -> set[int]:
        """Types of these qualified names (``asyncio.locks.Semaphore``), and what derives from them."""
        first = {one for one, name in self.types().items() if name in names}
        return {one for one in self.types() if not first.isdisjoint(self.mro(one))}

    def instances(self, types: Collection[int]) -> dict[int, list[int]]:
        """Live objects by their exact type, in one pass over the memory."""
        import numpy as np

        found: dict[int, list[int]] = {one: [] for one in types}
        wanted = Search(found)
        count, most = np.uint64(_COUNT), np.uint64(self._most)
        hits: list[int] = []
        for window in self.memory.windows():
            inner = window.words[window.first : window.last]
            at = wanted.hits(inner) + window.first
            at = at[at > 0]
            references = window.words[at - 1]
            at = at[(references & count > 0) & (references <= most)]
            hits += (window.start + 8 * (at - 1)).tolist()
        for address in hits:
            kind = self.type_of(address)
            if kind in found and self._is_live_of(address, kind):
                found[kind].append(address)
        return found

    def is_live(self, address: int) -> bool:
        """Whether a plausible object lies here: a known type, sane references, agreeing links."""
        if not address or address & 7:
            return False
        kind = self.type_of(address)
        return self.is_type(kind) and self._is_live_of(address, kind)

    def _is_live_of(self, address: int, kind: int) -> bool:
        references = self.memory.u64(address)
        if not references & _COUNT > 0 or references > self._most:
            return False
        flags = self.flags(kind)
        if not flags & HAVE_GC:
            return True
        if flags & _TYPE_SUBCLASS and not self.memory.u64(address + self._off_flags) & HEAPTYPE:
            return True
        return self._is_linked(address) or self._may_be_untracked(address, kind)

    def _is_linked(self, address: int) -> bool:
        """Whether the collector's list leads through this object; asked again when its neighbours moved."""
        if self._links_agree(address, self.memory.read):
            return True
        if not self.memory.u64(address - 16) & ~3:
            return False
        return any(self._links_agree(address, self.memory.peek) for _ in range(_TRIES))

    def _links_agree(self, address: int, read: Callable[[int, int], bytes | None]) -> bool:
        own = address - 16
        links = read(own, 16)
        following, back = _PAIR.unpack(links) if links else (0, 0)
        if not following & ~3:
            return False
        after = read(following & ~3, 16)
        next_back = _PAIR.unpack(after)[1] if after else 0
        if next_back & ~3 == own:
            return True
        before = read(back & ~3, 16)
        if before and _PAIR.unpack(before)[0] & ~3 == own:
            return True
        # During a collection this bit is set, and the link back of each holds a count instead.
        return bool(back & next_back & 2) and back <= _COUNT

    def _may_be_untracked(self, address: int, kind: int) -> bool:
        if self.memory.u64(address - 16) & ~3:
            return False
        return self.type_name(kind) in _UNTRACKED

    def _types_of(self, metatypes: Iterable[int]) -> dict[int, str]:
        hits = self.memory.find(set(metatypes))
        known = self._types or {}
        found = {}
        for places in hits.values():
            for place in places:
                one = place - 8
                if one not in known and self.is_type(one) and self._is_live_of(one, self.type_of(one)):
                    found[one] = self._qualified(one)
        return found

    def _qualified(self, address: int) -> str:
        return self.type_name(address)

    def _tuple(self, address: int, limit: int) -> list[int]:
        if not address or self.type_of(address) != self.static["tuple"]:
            return []
        size = self.memory.u64(address + 16)
        return self.memory.words(address + self._off_items, min(size, limit))
