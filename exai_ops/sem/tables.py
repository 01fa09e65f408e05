"""The tables that containers keep outside themselves, and whose a place in one of them is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from exai_ops.sem.memory import Window
from exai_ops.sem.search import Search
from exai_ops.sem.types import MANAGED_DICT

if TYPE_CHECKING:
    from exai_ops.sem.objects import Objects

_VALUES_REACH: Final = 1 << 16  # bytes that the values of an instance may cover
_KEYS_REACH: Final = 1 << 32
_MAX_CHAIN: Final = 10000
_COUNT: Final = (1 << 32) - 1  # of references; since 3.14 flags lie above


class _Nearest:
    """For each place, the table that begins closest before it."""

    def __init__(self, places: Any, reach: int) -> None:
        import numpy as np

        self._np, self._places, self._reach = np, places, np.uint64(reach)
        self.starts = np.zeros(places.size, dtype=np.uint64)
        self.owners = np.zeros(places.size, dtype=np.uint64)

    def add(self, starts: Any, owners: Any) -> None:
        """Tables of one window."""
        np = self._np
        at = np.searchsorted(self._places, starts)
        good = at < self._places.size
        at, starts, owners = at[good], starts[good], owners[good]
        good = (starts > 4096) & (self._places[at] - starts < self._reach)
        at, starts, owners = at[good], starts[good], owners[good]
        if not at.size:
            return
        order = np.lexsort((starts, at))
        at, starts, owners = at[order], starts[order], owners[order]
        last = np.flatnonzero(np.append(at[1:] != at[:-1], True))  # the closest of each place
        at, starts, owners = at[last], starts[last], owners[last]
        better = starts > self.starts[at]
        self.starts[at[better]], self.owners[at[better]] = starts[better], owners[better]

    def pairs(self) -> Iterator[tuple[int, int, int]]:
        """(place, start, owner), nearest start first found before the place."""
        start, owner = 0, 0
        for place, new, held in zip(
            self._places.tolist(), self.starts.tolist(), self.owners.tolist(), strict=True
        ):
            if new > start:
                start, owner = new, held
            if start:
                yield place, start, owner


class Tables:
    """Compares the tables of all live containers with given places."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.layout = objects.layout
        self._kinds: dict[str, Search] = {}

    def owners(self, places: list[int]) -> Iterator[tuple[int, int, str]]:
        """(place, container, how) of each place that lies in a container's table; ``places`` in order."""
        import numpy as np

        self._at = np.array(places, dtype=np.uint64)
        self._keys = _Nearest(self._at, _KEYS_REACH)
        self._values = _Nearest(self._at, _VALUES_REACH)
        self._attributes = _Nearest(self._at, _VALUES_REACH)
        self._found: list[tuple[int, int, str]] = []
        self._deques: list[int] = []
        every = self._searches()
        for window in self.objects.memory.windows():
            self._window(window, every)
        yield from self._found
        yield from self._in_dicts()
        yield from self._in_values()
        yield from self._in_attributes()
        yield from self._in_deques()

    def _searches(self) -> Search:
        objects = self.objects
        groups: dict[str, set[int]] = {
            "list": set(),
            "dict": set(),
            "set": set(),
            "deque": set(),
            "managed": set(),
        }
        for one in {*objects.types(), *objects.static.values()}:
            kind = objects.kind_of_type(one)
            if kind in groups:
                groups[kind].add(one)
            if self.layout.minor >= (3, 11) and objects.flags(one) & MANAGED_DICT:
                groups["managed"].add(one)
        self._kinds = {name: Search(group) for name, group in groups.items()}
        return Search(set().union(*groups.values()))

    def _window(self, window: Window, every: Search) -> None:
        import numpy as np

        words, layout = window.words, self.layout
        at = every.hits(words[window.first : window.last]) + window.first
        at = at[at > 0]
        at = at[words[at - 1] & np.uint64(_COUNT) > 0]  # others were let go of
        if not at.size:
            return
        types = words[at]

        def of(kind: str) -> Any:
            return at[self._kinds[kind].member(types)]

        def word(indices: Any, name: str) -> Any:
            return words.take(indices - 1 + layout[name] // 8, mode="clip")

        eight, size = np.uint64(8), 1
        lists = of("list")
        starts = word(lists, "list_items")
        self._ranges(
            window,
            lists,
            starts,
            starts + eight * np.minimum(words.take(lists + size, mode="clip"), np.uint64(1 << 32)),
        )
        sets = of("set")
        starts = word(sets, "set_table")
        mask = np.minimum(word(sets, "set_mask"), np.uint64(1 << 32))
        self._ranges(window, sets, starts, starts + np.uint64(16) * (mask + np.uint64(1)))
        deques = of("deque")
        one_block = np.uint64(layout["dq_link"] + 8)
        for name in ("dq_left", "dq_right"):
            starts = word(deques, name)
            self._ranges(window, deques, starts, starts + one_block)
        many = deques[word(deques, "dq_left") != word(deques, "dq_right")]
        self._deques += self._addresses(window, many).tolist()
        dicts = of("dict")
        self._keys.add(word(dicts, "ma_keys"), self._addresses(window, dicts))
        self._values.add(word(dicts, "ma_values"), self._addresses(window, dicts))
        self._managed(window, of("managed"))

    def _managed(self, window: Window, at: Any) -> None:
        """Instances whose attributes lie in a block of their own: 3.11 and 3.12."""
        import numpy as np

        offset = self.layout.get("managed_values", 0)
        if not offset or not at.size:
            return
        starts = window.words.take(at - 1 + offset // 8, mode="clip")
        if self.layout["values_tag"]:
            good = (starts & np.uint64(1)) == 1
            at, starts = at[good], starts[good] + np.uint64(1)
        self._attributes.add(starts, self._addresses(window, at))

    def _addresses(self, window: Window, at: Any) -> Any:
        import numpy as np

        return (at.astype(np.int64) * 8 + (window.start - 8)).astype(np.uint64)

    def _ranges(self, window: Window, at: Any, starts: Any, ends: Any) -> None:
        """Containers whose table, of known size, covers a place."""
        import numpy as np

        first = np.searchsorted(self._at, starts)
        last = np.searchsorted(self._at, ends)
        good = np.flatnonzero((first < last) & (starts > np.uint64(4096)))
        for index in good.tolist():
            owner = int(at[index]) * 8 + window.start - 8
            if not self.objects.is_live(owner):
                continue
            for place in self._at[first[index] : last[index]].tolist():
                how = self._how(owner, place, int(starts[index]))
                if how:
                    self._found.append((place, owner, how))

    def _how(self, owner: int, place: int, start: int) -> str:
        kind = self.objects.kind(owner)
        if kind == "list":
            return f"index:{(place - start) // 8}"
        if kind == "set":
            return "item" if not (place - start) % 16 else ""
        return self._deque_index(owner, place)

    def _deque_index(self, owner: int, place: int) -> str:
        before = 0
        for block, first, end in self.objects.deque_blocks(owner):
            index = (place - block - 8) // 8
            if first <= index < end:
                return f"index:{before + index - first}"
            before += end - first
        return ""

    def _in_dicts(self) -> Iterator[tuple[int, int, str]]:
        objects = self.objects
        for place, keys, owner in self._keys.pairs():
            start, entry, count = objects.keys_shape(keys)
            if not count or not start <= place < start + entry * count or not objects.is_live(owner):
                continue
            index, part = divmod(place - start, entry)
            words = objects.memory.words(start + index * entry, entry // 8)
            if len(words) != entry // 8 or objects.memory.u64(owner + self.layout["ma_values"]):
                continue
            if part == entry - 8:
                yield place, owner, f"key:{self._repr(words[-2])}"
            elif part == entry - 16:
                yield place, owner, "key"

    def _in_values(self) -> Iterator[tuple[int, int, str]]:
        objects = self.objects
        for place, start, owner in self._values.pairs():
            keys = objects.memory.u64(owner + self.layout["ma_keys"])
            names = objects.names_of_keys(keys)
            index = (place - start - self.layout["values_data"]) // 8
            if 0 <= index < len(names) and objects.is_live(owner):
                yield place, owner, f"key:{names[index]!r}"

    def _in_attributes(self) -> Iterator[tuple[int, int, str]]:
        objects = self.objects
        for place, start, owner in self._attributes.pairs():
            values, keys = objects.inline_values(owner)
            names = objects.names_of_keys(keys) if values == start else []
            index = (place - start) // 8
            if 0 <= index < len(names) and objects.is_live(owner):
                yield place, owner, f"attr:{names[index]}"

    def _in_deques(self) -> Iterator[tuple[int, int, str]]:
        """Blocks between the first and the last of long deques."""
        places = set(self._at.tolist()) - {place for place, _, _ in self._found}
        for owner in self._deques[:_MAX_CHAIN] if places else []:
            if not self.objects.is_live(owner):
                continue
            before = 0
            for block, first, end in self.objects.deque_blocks(owner):
                low = block + 8 + 8 * first
                for place in [p for p in places if low <= p < low + 8 * (end - first)]:
                    yield place, owner, f"index:{before + (place - low) // 8}"
                before += end - first

    def _repr(self, key: int) -> str:
        text = self.objects.text(key)
        if text is not None:
            return repr(text[:200])
        number = self.objects.integer(key)
        if number is not None:
            return str(number)
        items = self.objects.sequence(key) if self.objects.kind(key) == "tuple" else []
        if items and len(items) <= 8:
            return "(" + ", ".join(self._repr(one) if one != key else "..." for one in items) + ")"
        return f"<{self.objects.type_name(self.objects.type_of(key))}>"
