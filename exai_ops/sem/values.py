"""Contents of a live process's objects: numbers, texts, containers, attributes."""

from __future__ import annotations

import struct
from typing import Final

from exai_ops.sem.layout import Layout
from exai_ops.sem.memory import Memory
from exai_ops.sem.types import INLINE_VALUES, MANAGED_DICT, Types

MAX_TEXT: Final = 4096
MAX_ITEMS: Final = 1 << 20
_MEMBER_OBJECT: Final = frozenset({6, 16})  # T_OBJECT, T_OBJECT_EX
_KINDS: Final = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}
_DELETED: Final = (1 << 64) - 1  # the hash of a set's placeholder: -1, which no object has
_SUBCLASS_BITS: Final = {"int": 24, "list": 25, "tuple": 26, "bytes": 27, "str": 28, "dict": 29}


class Values(Types):
    """What is in an object; nothing here raises for garbage."""

    def __init__(self, memory: Memory, layout: Layout) -> None:
        super().__init__(memory, layout)
        self._members: dict[int, list[tuple[str, int]]] = {}
        self._keys: dict[int, list[str | None]] = {}
        self._deques: dict[int, bool] = {}
        self._qualifieds: dict[int, str] = {}

    def forget(self) -> None:
        """Forget everything that was read."""
        super().forget()
        self._members.clear()
        self._keys.clear()
        self._deques.clear()
        self._qualifieds.clear()

    def is_a(self, address: int, name: str) -> bool:
        """Whether an object is of a builtin type or of one derived from it."""
        kind = self.type_of(address)
        if kind == self.static.get(name):
            return True
        bit = _SUBCLASS_BITS.get(name)
        if bit is not None:
            return bool(kind and self.flags(kind) >> bit & 1) and self.is_type(kind)
        return self.static.get(name) in self.mro(kind)

    def text(self, address: int) -> str | None:
        """A string, cut at 4096 characters; None when it is not one."""
        if not address or not self.is_a(address, "str"):
            return None
        layout, memory = self.layout, self.memory
        length = memory.u64(address + layout["str_length"])
        state = memory.i32(address + layout["str_state"])
        kind = state >> layout["str_kind_shift"] & 7
        if kind not in _KINDS or length > 1 << 40:
            return None
        if not state >> layout["str_compact_bit"] & 1:
            start = memory.u64(address + layout["str_any"])
        elif state >> layout["str_ascii_bit"] & 1:
            start = address + layout["str_ascii"]
        else:
            start = address + layout["str_compact"]
        size = min(length, MAX_TEXT) * kind
        data = memory.read(start, size) if size else b""
        return None if data is None else data.decode(_KINDS[kind], "replace")

    def integer(self, address: int) -> int | None:
        """An int or bool; None when it is not one, or has more than 200 digits of 30 bits."""
        if not address or not self.is_a(address, "int"):
            return None
        memory, layout = self.memory, self.layout
        if layout["int_tagged"]:
            tag = memory.u64(address + 16)
            digits, sign = tag >> 3, 1 - (tag & 3)
        else:
            size = memory.i64(address + 16)
            digits, sign = abs(size), (size > 0) - (size < 0)
        if not sign or not digits:
            return 0
        data = memory.read(address + layout["int_digits"], 4 * digits) if digits <= 200 else None
        if data is None:
            return None
        return sign * sum(int(d) << 30 * i for i, d in enumerate(struct.unpack(f"<{digits}I", data)))

    def floating(self, address: int) -> float | None:
        """A float, None when it is not one."""
        if not address or not self.is_a(address, "float"):
            return None
        data = self.memory.read(address + self.layout["float_value"], 8)
        return None if data is None else float(struct.unpack("<d", data)[0])

    def bytes_of(self, address: int, limit: int = 1 << 20) -> bytes | None:
        """The content of a bytes object, None when it is not one or is longer than ``limit``."""
        if not address or not self.is_a(address, "bytes"):
            return None
        size = self.memory.u64(address + 16)
        if not size:
            return b""
        return self.memory.read(address + self.layout["bytes_data"], size) if size <= limit else None

    def dict_items(self, address: int) -> list[tuple[int, int]]:
        """(key, value) of a dict in the order they were put in, at most a million."""
        if not address or not self.is_a(address, "dict"):
            return []
        memory, layout = self.memory, self.layout
        keys = memory.u64(address + layout["ma_keys"])
        values = memory.u64(address + layout["ma_values"])
        entries = self._entries(keys)
        if values:
            data = memory.words(values + layout["values_data"], len(entries))
            entries = [(key, value) for (key, _), value in zip(entries, data, strict=False)]
        return [(key, value) for key, value in entries if key and value]

    def sequence(self, address: int) -> list[int]:
        """The items of a list, tuple, set, frozenset or deque, at most a million; sets in no order."""
        if self.is_a(address, "tuple"):
            return self.memory.words(address + self._off_items, self._size(address))
        if self.is_a(address, "list"):
            items = self.memory.u64(address + self.layout["list_items"])
            return self.memory.words(items, self._size(address))
        if self.is_a(address, "set") or self.is_a(address, "frozenset"):
            return self._set(address)
        if self.is_deque(address):
            return self._deque(address)
        return []

    def attributes(self, address: int) -> dict[str, int]:
        """An instance's attributes: of its ``__dict__``, and of the ``__slots__`` of its classes."""
        kind = self.type_of(address)
        if not kind:
            return {}
        found = {name: value for name, value in self._slots(address, kind) if value}
        found.update(self._dict_attributes(address, kind))
        return found

    def instance_dict(self, address: int) -> int:
        """The dict object behind an instance's ``__dict__``, 0 when it has none of its own."""
        kind = self.type_of(address)
        layout, memory = self.layout, self.memory
        if layout.minor >= (3, 11) and self.flags(kind) & MANAGED_DICT:
            word = memory.u64(address + layout["managed_dict"])
            return 0 if layout["values_tag"] and word & 1 else word
        offset = memory.i64(kind + layout["tp_dictoffset"])
        if offset < 0 and layout.minor < (3, 12):
            size = memory.u64(kind + layout["tp_basicsize"])
            count = abs(memory.i64(address + 16))
            size += min(count, MAX_ITEMS) * memory.u64(kind + layout["tp_itemsize"])
            offset += size + 7 & ~7
        return memory.u64(address + offset) if offset > 0 else 0

    def inline_values(self, address: int) -> tuple[int, int]:
        """(where the values of an instance without a dict lie, its type's keys); zeros for none."""
        kind = self.type_of(address)
        layout, memory = self.layout, self.memory
        if layout.minor < (3, 11) or not self.flags(kind) & MANAGED_DICT:
            return 0, 0
        if layout["inline_values"]:
            if not self.flags(kind) & INLINE_VALUES or memory.u64(address + layout["managed_dict"]):
                return 0, 0
            values = address + memory.u64(kind + layout["tp_basicsize"]) + layout["inline_values"]
        else:
            values = memory.u64(address + layout["managed_values"])
            if layout["values_tag"]:
                values = values + 1 if values & 1 else 0
        return (values, memory.u64(kind + layout["cached_keys"])) if values else (0, 0)

    def names_of_keys(self, keys: int) -> list[str | None]:
        """The names in a table of keys, in order; remembered, since instances share it."""
        count = self.memory.u64(keys + self.layout["dk_nentries"])
        known = self._keys.get(keys)
        if known is None or len(known) != count:
            known = [self.text(key) for key, _ in self._entries(keys)]
            self._keys[keys] = known
        return known

    def is_deque(self, address: int) -> bool:
        """Whether a ``collections.deque`` or a subclass of it lies here."""
        kind = self.type_of(address)
        known = self._deques.get(kind)
        if known is None:
            known = any(
                self.type_name(one) == "collections.deque" and not self.flags(one) >> 29 & 1
                for one in self.mro(kind)
            )
            self._deques[kind] = known
        return known

    def _dict_attributes(self, address: int, kind: int) -> dict[str, int]:
        values, keys = self.inline_values(address)
        if values:
            names = self.names_of_keys(keys)
            data = self.memory.words(values, len(names))
            return {n: v for n, v in zip(names, data, strict=False) if n is not None and v}
        items = self.dict_items(self.instance_dict(address)) if kind else []
        found = {}
        for key, value in items[:4096]:
            name = self.text(key)
            if name is not None:
                found[name] = value
        return found

    def _slots(self, address: int, kind: int) -> list[tuple[str, int]]:
        return [(name, self.memory.u64(address + offset)) for name, offset in self.members(kind)]

    def members(self, kind: int) -> list[tuple[str, int]]:
        """(name, offset) of the object members of a type and its bases: ``__slots__``, and C types' own."""
        known = self._members.get(kind)
        if known is None:
            known = []
            for one in self.mro(kind)[:-1]:
                known += self._own_members(one)
            self._members[kind] = known
        return known

    def _own_members(self, kind: int) -> list[tuple[str, int]]:
        memory = self.memory
        descriptor = self.static["member_descriptor"]
        found = []
        for _, value in self.dict_items(memory.u64(kind + self.layout["tp_dict"])):
            if self.type_of(value) != descriptor:
                continue
            member = memory.u64(value + self.layout["d_member"])
            name = memory.text(memory.u64(member))
            offset = memory.i64(member + 16)
            if name and 0 < offset < 1 << 16 and memory.i32(member + 8) in _MEMBER_OBJECT:
                found.append((name, offset))
        return found

    def _size(self, address: int) -> int:
        return min(self.memory.u64(address + 16), MAX_ITEMS)

    def keys_shape(self, keys: int) -> tuple[int, int, int]:
        """(where a table's entries begin, bytes of one, how many), zeros when it is no table of keys."""
        memory, layout = self.memory, self.layout
        count = memory.u64(keys + layout["dk_nentries"])
        if layout["dk_old"]:
            size = memory.u64(keys + 8)
            width = 1 if size <= 0xFF else 2 if size <= 0xFFFF else 4 if size <= 0xFFFFFFFF else 8
            start, entry = keys + layout["dk_indices"] + size * width, 24
            sane = 0 < size < 1 << 32 and not size & size - 1 and count <= size
        else:
            log_size, log_bytes, kind = memory.u8(keys + 8), memory.u8(keys + 9), memory.u8(keys + 10)
            start, entry = keys + layout["dk_indices"] + (1 << min(log_bytes, 40)), 16 if kind else 24
            sane = log_size <= 32 and log_bytes <= 40 and kind <= 2 and count <= 1 << log_size
        return (start, entry, min(count, MAX_ITEMS)) if keys and sane else (0, 0, 0)

    def _entries(self, keys: int) -> list[tuple[int, int]]:
        start, entry, count = self.keys_shape(keys)
        words = self.memory.words(start, count * entry // 8) if count else []
        if entry == 24:
            return list(zip(words[1::3], words[2::3], strict=False))
        return list(zip(words[0::2], words[1::2], strict=False))

    def _set(self, address: int) -> list[int]:
        memory, layout = self.memory, self.layout
        mask = memory.u64(address + layout["set_mask"])
        table = memory.u64(address + layout["set_table"])
        words = memory.words(table, 2 * (mask + 1)) if mask < 2 * MAX_ITEMS else []
        pairs = zip(words[0::2], words[1::2], strict=True)
        return [key for key, hashed in pairs if key and hashed != _DELETED]

    def deque_blocks(self, address: int) -> list[tuple[int, int, int]]:
        """(block, first index, index after the last) of each block of a deque, leftmost first."""
        memory, layout = self.memory, self.layout
        if not self._size(address):
            return []
        block, last = memory.u64(address + layout["dq_left"]), memory.u64(address + layout["dq_right"])
        first, end = (
            memory.u64(address + layout["dq_leftindex"]),
            memory.u64(address + layout["dq_rightindex"]),
        )
        length = layout["dq_link"] // 8 - 1
        found: list[tuple[int, int, int]] = []
        for _ in range(self._size(address) // length + 2):
            if not block or first > length or end >= length:
                return found
            found.append((block, first, end + 1 if block == last else length))
            if block == last:
                break
            block, first = memory.u64(block + layout["dq_link"]), 0
        return found

    def _deque(self, address: int) -> list[int]:
        found: list[int] = []
        for block, first, end in self.deque_blocks(address):
            found += self.memory.words(block + 8 + 8 * first, end - first)
        return found

    def _qualified(self, address: int) -> str:
        known = self._qualifieds.get(address)
        if known is None:
            known = self._qualifieds[address] = self._find_qualified(address)
        return known

    def _find_qualified(self, address: int) -> str:
        name = self.type_name(address)
        if "." in name or address in self.static.values():
            return name
        for key, value in self.dict_items(self.memory.u64(address + self.layout["tp_dict"])):
            if self.text(key) == "__module__":
                module = self.text(value)
                return f"{module}.{name}" if module and module != "builtins" else name
        return name
