"""The tables that containers keep outside themselves, and whose a place in one of them is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from exai_ops.sem.memory import Window
from exai_ops.sem.search import Search
from exai_ops.sem.types import MANAGED_DICT

if TYPE_CHECKING:
    from exai_ops.sem.objects import Objects

_VALUES_REACH: Final = 1 << 16  # bytes that the values of an instance may cover
_KEYS_REACH: Final = 1 << 32
_MAX_CHAIN: Final = 10000
_COUNT: Final = (1 << 32) - 1  # of references; since 3.14 flags lie above
_LOWEST: Final = 4096  # no table lies below

LIST, DICT, SET, DEQUE, MANAGED = 1, 2, 4, 8, 16
_BITS: Final = {"list": LIST, "dict": DICT, "set": SET, "deque": DEQUE}

_Ranges: TypeAlias = tuple[Any, Any, Any]
"""Where tables begin, where they end, and whose they are: arrays of one length."""
_Starts: TypeAlias = tuple[Any, Any]
"""Where tables begin, and whose they are."""


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
        good = self._places[at] - starts < self._reach
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
    """The tables of all live containers, noted in one pass over the memory, to be compared with places."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.layout = objects.layout
        self._ranges: list[_Ranges] = []
        self._keys: list[_Starts] = []
        self._values: list[_Starts] = []
        self._attributes: list[_Starts] = []
        self._deques: list[int] = []

    def kinds(self) -> dict[int, int]:
        """The types of containers, and what each is: ``LIST`` and the others, together."""
        objects = self.objects
        managed = self.layout.minor >= (3, 11)
        found = {}
        for one in {*objects.types(), *objects.static.values()}:
            bits = _BITS.get(objects.kind_of_type(one), 0)
            if managed and objects.flags(one) & MANAGED_DICT:
                bits |= MANAGED
            if bits:
                found[one] = bits
        return found

    def read(self) -> None:
        """Note all tables in a pass of their own."""
        import numpy as np

        kinds = self.kinds()
        search = Search(kinds)
        bits = np.array([kinds[word] for word in search.words.tolist()], dtype=np.uint16)
        for window in self.objects.memory.windows():
            at, which = search.sought(window.words[window.first : window.last])
            at += window.first
            good = np.flatnonzero(at > 0)
            good = good[window.words[at[good] - 1] & np.uint64(_COUNT) > 0]  # others were let go of
            self.note(window, at[good], bits[which[good]])

    def note(self, window: Window, at: Any, bits: Any) -> None:
        """Take in the containers of a window: indices of the words that say their types, and their kinds."""
        if not at.size:
            return
        import numpy as np

        words, layout = window.words, self.layout

        def of(kind: int) -> Any:
            return at[bits & np.uint16(kind) > 0]

        def word(indices: Any, name: str) -> Any:
            return words.take(indices - 1 + layout[name] // 8, mode="clip")

        eight, most = np.uint64(8), np.uint64(1 << 32)
        if (lists := of(LIST)).size:
            sizes = np.minimum(words.take(lists + 1, mode="clip"), most)
            self._note(self._ranges, window, lists, word(lists, "list_items"), eight * sizes)
        if (sets := of(SET)).size:
            mask = np.minimum(word(sets, "set_mask"), most)
            sizes = np.uint64(16) * (mask + np.uint64(1))
            self._note(self._ranges, window, sets, word(sets, "set_table"), sizes)
        if (deques := of(DEQUE)).size:
            sizes = np.full(deques.size, layout["dq_link"] + 8, dtype=np.uint64)
            for name in ("dq_left", "dq_right"):
                self._note(self._ranges, window, deques, word(deques, name), sizes)
            many = deques[word(deques, "dq_left") != word(deques, "dq_right")]
            self._deques += self._addresses(window, many).tolist()
        if (dicts := of(DICT)).size:
            self._note_starts(self._keys, window, dicts, word(dicts, "ma_keys"))
            self._note_starts(self._values, window, dicts, word(dicts, "ma_values"))
        self._managed(window, of(MANAGED))

    def owners(self, places: list[int]) -> Iterator[tuple[int, int, str]]:
        """(place, container, how) of each place that lies in a container's table; ``places`` in order."""
        import numpy as np

        self._at: Any = np.array(places, dtype=np.uint64)
        self._found: list[tuple[int, int, str]] = []
        for chunk in self._ranges:
            self._covering(chunk)
        yield from self._found
        yield from self._in_dicts(self._nearest(self._keys, _KEYS_REACH))
        yield from self._in_values(self._nearest(self._values, _VALUES_REACH))
        yield from self._in_attributes(self._nearest(self._attributes, _VALUES_REACH))
        yield from self._in_deques()

    def _nearest(self, chunks: list[_Starts], reach: int) -> _Nearest:
        found = _Nearest(self._at, reach)
        for starts, owners in chunks:
            found.add(starts, owners)
        return found

    def _note(self, into: list[_Ranges], window: Window, at: Any, starts: Any, sizes: Any) -> None:
        import numpy as np

        good = np.flatnonzero((starts > np.uint64(_LOWEST)) & (sizes > np.uint64(0)))
        if good.size:
            starts = starts[good]
            into.append((starts, starts + sizes[good], self._addresses(window, at[good])))

    def _note_starts(self, into: list[_Starts], window: Window, at: Any, starts: Any) -> None:
        import numpy as np

        good = np.flatnonzero(starts > np.uint64(_LOWEST))
        if good.size:
            into.append((starts[good], self._addresses(window, at[good])))

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
        self._note_starts(self._attributes, window, at, starts)

    def _addresses(self, window: Window, at: Any) -> Any:
        import numpy as np

        return (at.astype(np.int64) * 8 + (window.start - 8)).astype(np.uint64)

    def _covering(self, chunk: _Ranges) -> None:
        """Book the containers whose table, of known size, covers a place."""
        import numpy as np

        places, (starts, ends, owners) = self._at, chunk
        first: Any = np.searchsorted(places, starts)
        good = np.flatnonzero(first < places.size)
        good = good[places[first[good]] < ends[good]]
        for index in good.tolist():
            owner = int(owners[index])
            if not self.objects.is_live(owner):
                continue
            end = int(np.searchsorted(places, ends[index]))
            for place in places[int(first[index]) : end].tolist():
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

    def _in_dicts(self, near: _Nearest) -> Iterator[tuple[int, int, str]]:
        objects = self.objects
        for place, keys, owner in near.pairs():
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

    def _in_values(self, near: _Nearest) -> Iterator[tuple[int, int, str]]:
        objects = self.objects
        for place, start, owner in near.pairs():
            keys = objects.memory.u64(owner + self.layout["ma_keys"])
            names = objects.names_of_keys(keys)
            index = (place - start - self.layout["values_data"]) // 8
            if 0 <= index < len(names) and objects.is_live(owner):
                yield place, owner, f"key:{names[index]!r}"

    def _in_attributes(self, near: _Nearest) -> Iterator[tuple[int, int, str]]:
        objects = self.objects
        for place, start, owner in near.pairs():
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
