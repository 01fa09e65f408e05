"""The object around a place in memory, and what it calls the field there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exai_ops.sem.memory import PAGE
from exai_ops.sem.search import Search
from exai_ops.sem.types import HAVE_GC, INLINE_VALUES

if TYPE_CHECKING:
    from exai_ops.sem.objects import Objects

_LOOK_BACK: Final = (256, 2048, 8192)  # bytes; no object that is one block is larger, but for few tuples
_FIELDS: Final = {
    "cell": {"cell_ref": "cell"},
    "method": {"m_self": "self", "m_func": "slot:__func__"},
    "builtin": {"b_self": "self"},
    "partial": {"p_func": "slot:func", "p_args": "slot:args", "p_keywords": "slot:keywords"},
    "weakref": {"wr_object": "weak"},
    "module": {"md_dict": "slot:__dict__"},
    "asend": {"asend_gen": "slot:generator"},
    "athrow": {"athrow_gen": "slot:generator"},
    "coroutine_wrapper": {"wrapper_coro": "slot:coroutine"},
    "future_iter": {"futiter_future": "slot:future"},
    "function": {
        "func_code": "slot:__code__",
        "func_closure": "slot:__closure__",
        "func_globals": "slot:__globals__",
        "func_defaults": "slot:__defaults__",
        "func_kwdefaults": "slot:__kwdefaults__",
        "func_dict": "slot:__dict__",
    },
    "task": {
        "task_coro": "slot:coroutine",
        "task_waiter": "slot:waits_for",
        "task_name": "slot:name",
        "fut_loop": "slot:loop",
        "fut_result": "slot:result",
        "fut_callback0": "slot:callback",
        "fut_callbacks": "slot:callbacks",
    },
    "future": {
        "fut_loop": "slot:loop",
        "fut_result": "slot:result",
        "fut_callback0": "slot:callback",
        "fut_callbacks": "slot:callbacks",
    },
}
_MOST_DEAD: Final = 64
_MAX_REFERENCES: Final = 1 << 32
_GENERATORS: Final = frozenset({"coroutine", "generator", "async_generator"})


class Holders:
    """Walks back from a place to the object that it lies in."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self._types: Search | None = None
        self._fields: dict[str, dict[int, str]] = {
            kind: {
                objects.layout[field]: label
                for field, label in fields.items()
                if objects.layout.get(field) >= 0
            }
            for kind, fields in _FIELDS.items()
        }

    def at(self, place: int) -> tuple[int, str] | None:
        """(object, how it refers); an empty ``how`` for a slot of a frame that is no longer in use."""
        owner = self.object_at(place)
        if not owner:
            return None
        kind = self.objects.kind(owner)
        if kind == "frame" and self.objects.layout.minor < (3, 11):
            return self._old_frame(owner, place)
        return owner, self._label(owner, kind, place - owner)

    def object_at(self, place: int) -> int:
        """The live object that covers a place beyond its header, 0 for none."""
        memory = self.objects.memory
        for reach in _LOOK_BACK:
            data = memory.read(place - reach, reach)
            if data is None:
                data = memory.read(place & -PAGE, place & PAGE - 1)
            found = self._nearest(place, data) if data else 0
            if found is not None:
                return found
        return 0

    def _nearest(self, place: int, before: bytes) -> int | None:
        """The object that covers a place, by the bytes before it; 0 for none, None when more are needed."""
        import numpy as np

        objects = self.objects
        types = self._types or Search(objects.types())
        self._types = types
        words = np.frombuffer(before, dtype=np.uint64)
        dead = 0
        at = types.hits(words)
        at = at[at > 0]
        references = words[at - 1]
        at = at[(references > 0) & (references < _MAX_REFERENCES)]  # what was let go of has none
        for index in at[::-1].tolist():
            candidate: int = place - len(before) + 8 * (index - 1)
            if not objects.is_live(candidate):
                dead += 1
                if dead > _MOST_DEAD:
                    return 0  # memory that was let go of
                continue
            if place < candidate + self._extent(candidate):
                return candidate
            if objects.flags(objects.type_of(candidate)) & HAVE_GC:
                return 0  # what lies behind the nearest object of the collector is nobody's
        return None

    def _extent(self, address: int) -> int:
        """How many bytes an object covers, what is allocated with it included."""
        objects, layout, memory = self.objects, self.objects.layout, self.objects.memory
        kind, name = objects.type_of(address), objects.kind(address)
        size = memory.u64(kind + layout["tp_basicsize"])
        if name == "frame" and layout.minor < (3, 11):
            info = objects.code(memory.u64(address + layout["f_code"]))
            return layout["f_localsplus"] + 8 * (len(info.locals_names) + info.stacksize) if info else size
        if name in _GENERATORS and layout.minor >= (3, 11):
            start = layout["gi_iframe"] + layout["if_localsplus"]
            info = objects.code(
                memory.u64(address + layout["gi_iframe"] + layout["if_code"]) & ~layout["tags"]
            )
            return start + 8 * (len(info.locals_names) + info.stacksize) if info else size
        item = memory.i64(kind + layout["tp_itemsize"])
        if item > 0:
            size += item * min(abs(memory.i64(address + 16)), 1 << 24)
        if layout.get("inline_values", 0) > 0 and objects.flags(kind) & INLINE_VALUES:
            size += layout["inline_values"] + 8 * memory.u8(address + size)
        return size

    def _label(self, owner: int, kind: str, offset: int) -> str:
        objects, layout = self.objects, self.objects.layout
        known = self._fields.get(kind, {}).get(offset)
        if known is not None:
            return known
        if kind == "tuple" and offset >= layout["tuple_items"]:
            return f"index:{(offset - layout['tuple_items']) // 8}"
        if kind in _GENERATORS and layout.minor >= (3, 11):
            return self._frame_slot(owner, offset)
        type_ = objects.type_of(owner)
        for name, at in objects.members(type_):
            if at == offset:
                return f"slot:{name}"
        values, keys = objects.inline_values(owner)
        if values and values <= owner + offset:
            names = objects.names_of_keys(keys)
            index = (owner + offset - values) // 8
            if index < len(names):
                return f"attr:{names[index]}"
        return f"offset:{offset}"

    def _frame_slot(self, owner: int, offset: int) -> str:
        layout, memory = self.objects.layout, self.objects.memory
        frame = owner + layout["gi_iframe"]
        index = (offset - layout["gi_iframe"] - layout["if_localsplus"]) // 8
        if index < 0:
            return f"offset:{offset}"
        if memory.u8(owner + layout["gi_state"]) in {1, 4}:
            return ""  # it is over
        info = self.objects.code(memory.u64(frame + layout["if_code"]) & ~layout["tags"])
        count = len(info.locals_names) if info else 0
        if info and index < count:
            return f"local:{info.locals_names[index]}"
        if layout["if_stackpointer"] >= 0:
            used = memory.u64(frame + layout["if_stackpointer"]) - frame - layout["if_localsplus"]
            top = used // 8 if used > 0 else -1
        else:
            top = memory.i32(frame + layout["if_stacktop"])
        return f"stack:{index - count}" if top < count or index < top else ""

    def _old_frame(self, owner: int, place: int) -> tuple[int, str]:
        """A frame object of 3.10: its generator stands for it."""
        objects, layout, memory = self.objects, self.objects.layout, self.objects.memory
        generator = memory.u64(owner + layout["f_gen"])
        holder = generator if generator and objects.kind(generator) in _GENERATORS else owner
        index = (place - owner - layout["f_localsplus"]) // 8
        info = objects.code(memory.u64(owner + layout["f_code"]))
        if info is None or index < 0:
            return holder, f"offset:{place - owner}"
        count, depth = len(info.locals_names), memory.i32(owner + layout["f_stackdepth"])
        if index < count:
            return holder, f"local:{info.locals_names[index]}"
        return holder, f"stack:{index - count}" if depth < 0 or index < count + depth else ""
