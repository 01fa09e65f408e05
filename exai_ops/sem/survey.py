"""One pass over the memory that answers all that a scan asks of the whole of it.

Which types there are is part of the question: those in the heap of the C library and in what files brought
along are read first, and where the pass finds others that matter, a further one looks for their objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from exai_ops.sem.memory import Window
from exai_ops.sem.search import Search
from exai_ops.sem.tables import Tables

if TYPE_CHECKING:
    from exai_ops.sem.objects import Objects

_TABLE: Final = 0xFF  # the bits of exai_ops.sem.tables
_META, _INSTANCE, _WORD, _CODE = 1 << 8, 1 << 9, 1 << 10, 1 << 11
_COUNT: Final = np.uint64((1 << 32) - 1)


class Survey:
    """What there is.

    Attributes:
        instances: Type -> its live objects, for each type that was asked for.
        places: Word -> where it is, the same.
        tables: Of all containers, when they were asked for.
    """

    def __init__(self, objects: Objects, *, tables: bool, codes: bool) -> None:
        self._objects = objects
        self.instances: dict[int, list[int]] = {}
        self.places: dict[int, list[int]] = {}
        self.tables = Tables(objects) if tables else None
        self._code = objects.static["code"] if codes else 0
        self._codes: list[tuple[Any, Any]] = []
        self._hits: list[tuple[int, int]] = []
        self._asked: dict[int, int] = {}

    def take(
        self, kinds: Callable[[], Iterable[int]], words: Callable[[], Iterable[int]] = lambda: ()
    ) -> None:
        """Look, until nothing is left to ask.

        Args:
            kinds: The types whose objects are sought, by the types that are known when it is called.
            words: The words that are sought, the same.
        """
        objects = self._objects
        objects.begin_listing()
        if not objects.catalogue.names:
            objects.catalogue.read(lambda: objects.memory.windows("files"))
        while roles := self._open(kinds(), words()):
            self._pass(roles)
            objects.catalogue.judge()
            for address, kind in objects.living(self._hits):
                self.instances[kind].append(address)
            self._hits.clear()
        objects.end_listing()

    def codes_with(self, tables: set[int]) -> list[int]:
        """The code objects whose names are one of these tuples."""
        if not tables:
            return []
        wanted = Search(tables)
        return [
            address
            for names, addresses in self._codes
            for address in addresses[wanted.member(names)].tolist()
        ]

    def all_codes(self) -> list[tuple[int, int]]:
        """(address of its tuple of names, address) of every code object."""
        return [
            pair
            for names, addresses in self._codes
            for pair in zip(names.tolist(), addresses.tolist(), strict=True)
        ]

    def _open(self, kinds: Iterable[int], words: Iterable[int]) -> dict[int, int]:
        """What is to be looked for and was not yet: word -> what it is sought as."""
        roles = dict.fromkeys(self._objects.catalogue.metas(), _META)
        for some, bit, found in ((kinds, _INSTANCE, self.instances), (words, _WORD, self.places)):
            for one in some:
                roles[one] = roles.get(one, 0) | bit
                found.setdefault(one, [])
        if self._code:
            roles[self._code] = roles.get(self._code, 0) | _CODE
        for one, bits in self.tables.kinds().items() if self.tables is not None else ():
            roles[one] = roles.get(one, 0) | bits
        new = {one: bits & ~self._asked.get(one, 0) for one, bits in roles.items()}
        self._asked.update(roles)
        return {one: bits for one, bits in new.items() if bits}

    def _pass(self, roles: dict[int, int]) -> None:
        search = Search(roles)
        bits = np.array([roles[word] for word in search.words.tolist()], dtype=np.uint16)
        most = np.uint64(self._objects.most_references)
        for window in self._objects.memory.windows():
            at, which = search.sought(window.words[window.first : window.last])
            if not at.size:
                continue
            at += window.first
            self._words(window, at, which, search, bits)
            at, which = at[at > 0], which[at > 0]
            references = window.words[at - 1]
            good = (references & _COUNT > 0) & (references <= most)  # others were let go of
            self._heads(window, at[good], which[good], search, bits)

    def _words(self, window: Window, at: Any, which: Any, search: Search, bits: Any) -> None:
        good = np.flatnonzero(bits[which] & np.uint16(_WORD))
        words = search.words[which[good]].tolist()
        for index, word in zip(at[good].tolist(), words, strict=True):
            self.places[word].append(window.start + 8 * index)

    def _heads(self, window: Window, at: Any, which: Any, search: Search, bits: Any) -> None:
        """Take in objects: indices of the words that say their types."""
        roles = bits[which]
        if (metas := np.flatnonzero(roles & np.uint16(_META))).size:
            self._objects.catalogue.note(window, at[metas])
        if (some := np.flatnonzero(roles & np.uint16(_INSTANCE))).size:
            addresses = (window.start + 8 * (at[some] - 1)).tolist()
            self._hits += zip(addresses, search.words[which[some]].tolist(), strict=True)
        if (codes := at[roles & np.uint16(_CODE) > 0]).size:
            offset = self._objects.layout["co_names"] // 8
            names = window.words.take(codes - 1 + offset, mode="clip")
            self._codes.append((names, (window.start + 8 * (codes - 1)).astype(np.uint64)))
        if self.tables is not None and (held := np.flatnonzero(roles & np.uint16(_TABLE))).size:
            self.tables.note(window, at[held], roles[held] & np.uint16(_TABLE))
