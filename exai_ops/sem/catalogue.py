"""The types that there are, kept from pass to pass: those that did not change are not read again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from exai_ops.sem.memory import Window

if TYPE_CHECKING:
    from exai_ops.sem.types import Types

_TYPE_SUBCLASS: Final = 1 << 31


class _Mark(NamedTuple):
    """What tells one type from another at the same place: metatype, where its name and its bases are."""

    meta: int
    name: int
    mro: int


class Catalogue:
    """Types by address, with ``module.Name`` where that is known.

    Args:
        objects: Reads a type.
        drop: Told of each address that may be another type than before.
    """

    def __init__(self, objects: Types, drop: Callable[[int], None]) -> None:
        self._objects = objects
        self._drop = drop
        self.names: dict[int, str] = {}
        self._marks: dict[int, _Mark] = {}
        self._seen: dict[int, _Mark] = {}

    def metas(self) -> set[int]:
        """``type`` and the known types that derive from it."""
        objects = self._objects
        own = objects.static["type"]
        return {own} | {one for one in self.names if objects.flags(one) & _TYPE_SUBCLASS}

    def begin(self) -> None:
        """Look at all of them anew."""
        self._seen = {}

    def note(self, window: Window, at: Any) -> None:
        """Take in what a window has: indices of words that are the address of a metatype."""
        import numpy as np

        layout = self._objects.layout
        addresses = (at.astype(np.int64) * 8 + (window.start - 8)).astype(np.uint64)
        columns = [
            window.words.take(at - 1 + offset // 8, mode="clip").tolist()
            for offset in (8, layout["tp_name"], layout["tp_mro"])
        ]
        self._seen.update(zip(addresses.tolist(), map(_Mark, *columns), strict=True))

    def judge(self) -> None:
        """Tell types from what only looks like one, among what was noted."""
        new = {one: mark for one, mark in self._seen.items() if self._marks.get(one) != mark}
        for one in new:
            self._forget(one)
        for one, mark in new.items():
            if self._objects.is_live_type(one):
                self._marks[one] = mark
                self.names[one] = ""
        for one in new:
            if one in self.names:
                self.names[one] = self._objects.qualified(one)

    def end(self) -> None:
        """Let go of those that were not seen again."""
        for one in [one for one in self.names if one not in self._seen]:
            self._forget(one)

    def read(self, windows: Callable[[], Iterable[Window]]) -> None:
        """Note and judge all that lies in some windows, metatypes that turn up in them included."""
        import numpy as np

        from exai_ops.sem.search import Search

        asked: set[int] = set()
        while metas := self.metas() - asked:
            asked |= metas
            search = Search(metas)
            for window in windows():
                at = search.hits(window.words[window.first : window.last]) + window.first
                at = at[at > 0]
                self.note(window, at[window.words[at - 1] & np.uint64((1 << 32) - 1) > 0])
            self.judge()

    def _forget(self, one: int) -> None:
        self._marks.pop(one, None)
        self.names.pop(one, None)
        self._drop(one)
