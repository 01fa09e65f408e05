"""Frames of a live process: suspended coroutines with what they await, tasks, futures, running threads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from exai_ops.sem.codes import CodeInfo
from exai_ops.sem.objects import Objects

_MAX_SLOTS: Final = 1 << 16
_MAX_CHAIN: Final = 256
_MAX_FRAMES: Final = 2000
_MAX_THREADS: Final = 4096
_STATES: Final = {0: "pending", 1: "cancelled", 2: "done"}
_NAMES: Final = {"PENDING": "pending", "CANCELLED": "cancelled", "FINISHED": "done"}
_WRAPPERS: Final = {
    "coroutine_wrapper": "wrapper_coro", "asend": "asend_gen", "athrow": "athrow_gen",
    "anext": "anext_wrapped", "future_iter": "futiter_future",
}  # fmt: skip
GENERATORS: Final = frozenset({"coroutine", "generator", "async_generator"})


@dataclass(frozen=True, slots=True)
class Frame:
    """A call that is not over.

    Attributes:
        code: Address of its code object.
        locals: Name -> address of what it is bound to; what lies in a cell is given without the cell.
        stack: Addresses on the value stack, bottom first.
        lasti: Byte offset of its instruction, as ``frame.f_lasti`` says it.
        owner: Address of the coroutine, generator or frame object that it belongs to, 0 for a plain call.
        globals: Address of its globals dict.
        first: Address of its first local.
        exact: Whether the stack is all there: of a call that is running only what open ``with`` and ``try``
            blocks keep is known.
    """

    code: int
    info: CodeInfo
    locals: dict[str, int]
    stack: list[int]
    lasti: int
    line: int
    owner: int
    globals: int = 0
    first: int = 0
    exact: bool = True


@dataclass(frozen=True, slots=True)
class FutureInfo:
    """A future: ``state`` is ``pending``, ``cancelled`` or ``done``; callables that it will call."""

    state: str
    callbacks: list[int] = field(default_factory=list)
    loop: int = 0
    result: int = 0


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task; addresses are 0 where it has none."""

    name: str
    coroutine: int
    state: str
    waits_for: int
    callbacks: list[int]
    loop: int


@dataclass(frozen=True, slots=True)
class ThreadInfo:
    """A thread that runs Python: frames from the innermost outwards; ``native`` is its id in ``/proc``."""

    native: int
    ident: int
    frames: list[Frame]


class Frames:
    """What is suspended, what it waits for, and what runs."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.memory = objects.memory
        self.layout = objects.layout
        self._old = self.layout.minor < (3, 11)

    # Suspended code

    def coroutine_frame(self, address: int) -> Frame | None:
        """The frame of a suspended coroutine, generator or async generator; None when it runs or is over."""
        if self.objects.kind(address) not in GENERATORS:
            return None
        if self._old:
            frame = self.memory.u64(address + self.layout["gi_frame"])
            depth = self.memory.i32(frame + self.layout["f_stackdepth"]) if frame else -1
            return self._old_frame(frame, address) if depth >= 0 else None
        state = self.memory.u8(address + self.layout["gi_state"])
        if state < 128:  # signed: not below zero is running or over
            return None
        return self._new_frame(address + self.layout["gi_iframe"], address)

    def awaits(self, address: int) -> int | None:
        """What a suspended coroutine awaits: the next coroutine, generator, future or other awaitable."""
        frame = self.coroutine_frame(address)
        if frame is None or not frame.stack or not self._delegates(frame):
            return None
        return self.awaited(frame.stack[-1])

    def awaited(self, address: int) -> int | None:
        """What an awaitable stands for: wrappers and the steps of async generators lead to what they run."""
        layout, read = self.layout, self.memory.u64
        for _ in range(8):
            field_ = _WRAPPERS.get(self.objects.kind(address))
            if field_ is None or layout.get(field_) < 0:
                break
            address = read(address + layout[field_])
        return address or None

    def chain(self, address: int) -> list[Frame]:
        """Frames of a task or coroutine from the outermost to what it waits in."""
        if self.objects.kind(address) == "task":
            found = self.task(address)
            address = found.coroutine if found else 0
        frames: list[Frame] = []
        seen: set[int] = set()
        current: int | None = self.awaited(address) if address else None
        while current and current not in seen and len(frames) < _MAX_CHAIN:
            seen.add(current)
            frame = self.coroutine_frame(current)
            if frame is None:
                break
            frames.append(frame)
            current = self.awaited(frame.stack[-1]) if frame.stack and self._delegates(frame) else None
        return frames

    def _delegates(self, frame: Frame) -> bool:
        """Whether a frame is suspended in an await or a ``yield from``, not in a ``yield``."""
        names, code = self.layout.opcodes.names, frame.info.bytecode
        following = frame.lasti + 2 if self._old else frame.lasti + self.layout["next_shift"]
        if not 0 <= following < len(code) - 1:
            return False
        name = names[code[following]]
        return name == "YIELD_FROM" if self._old else name == "RESUME" and code[following + 1] & 3 >= 2

    # Tasks and futures

    def task(self, address: int) -> TaskInfo | None:
        """A task, of the C kind or written in Python; None when it is neither."""
        if self.objects.kind(address) != "task":
            return None
        if self._is_plain(address):
            return self._plain_task(address)
        layout, read = self.layout, self.memory.u64
        future = self._c_future(address)
        return TaskInfo(
            name=self._task_name(read(address + layout["task_name"])),
            coroutine=read(address + layout["task_coro"]),
            state=future.state,
            waits_for=read(address + layout["task_waiter"]),
            callbacks=future.callbacks,
            loop=future.loop,
        )

    def future(self, address: int) -> FutureInfo | None:
        """A future or task."""
        if self.objects.kind(address) not in {"task", "future"}:
            return None
        return self._plain_future(address) if self._is_plain(address) else self._c_future(address)

    def _is_plain(self, address: int) -> bool:
        """Whether a task or future is written in Python."""
        names = {self.objects.type_name(one) for one in self.objects.mro(self.objects.type_of(address))}
        return names.isdisjoint({"_asyncio.Task", "_asyncio.Future"})

    def _c_future(self, address: int) -> FutureInfo:
        layout, read = self.layout, self.memory.u64
        first = read(address + layout["fut_callback0"])
        rest = read(address + layout["fut_callbacks"])
        found = [first] if first else []
        if rest and rest != self.objects.none:
            found += self._callables(rest)
        state = _STATES.get(self.memory.i32(address + layout["fut_state"]), "unknown")
        return FutureInfo(
            state, found, read(address + layout["fut_loop"]), read(address + layout["fut_result"])
        )

    def _callables(self, rows: int) -> list[int]:
        found = []
        for row in self.objects.sequence(rows)[:4096]:
            items = self.objects.sequence(row)
            if items:
                found.append(items[0])
        return found

    def _plain_future(self, address: int) -> FutureInfo:
        held = self.objects.attributes(address)
        state = self.objects.text(held.get("_state", 0)) or "PENDING"
        return FutureInfo(
            _NAMES.get(state, "unknown"),
            self._callables(held.get("_callbacks", 0)),
            held.get("_loop", 0),
            held.get("_result", 0),
        )

    def _plain_task(self, address: int) -> TaskInfo:
        held = self.objects.attributes(address)
        future = self._plain_future(address)
        waits = held.get("_fut_waiter", 0)
        return TaskInfo(
            self._task_name(held.get("_name", 0)),
            held.get("_coro", 0),
            future.state,
            0 if waits == self.objects.none else waits,
            future.callbacks,
            future.loop,
        )

    def _task_name(self, address: int) -> str:
        text = self.objects.text(address)
        if text is not None:
            return text
        number = self.objects.integer(address)  # a name that nobody asked for yet, since 3.12
        return "?" if number is None else f"Task-{number}"

    # Running code

    def threads(self) -> list[ThreadInfo]:
        """Threads that run Python code, with their frames; none when the runtime cannot be found."""
        layout, read = self.layout, self.memory.u64
        if layout.get("rt_interpreters") < 0:
            return []
        interpreter = read(self.objects.image + layout["runtime"] + layout["rt_interpreters"])
        state = read(interpreter + layout["is_threads"]) if interpreter else 0
        found: list[ThreadInfo] = []
        seen: set[int] = set()
        while state and state not in seen and len(found) < _MAX_THREADS:
            seen.add(state)
            ident = read(state + layout["ts_ident"])
            found.append(ThreadInfo(self._native(state, ident), ident, self._stack_of(state)))
            state = read(state + layout["ts_next"])
        return found

    def _native(self, state: int, ident: int) -> int:
        if self.layout.get("ts_native") >= 0:
            return self.memory.u64(state + self.layout["ts_native"])
        tid = self.layout.get("pthread_tid")
        return self.memory.i32(ident + tid) if tid >= 0 else 0

    def _stack_of(self, state: int) -> list[Frame]:
        layout, read = self.layout, self.memory.u64
        current = read(state + layout["ts_frame"])
        if layout["cf_frame"] >= 0 and current:
            current = read(current + layout["cf_frame"])
        back = "f_back" if self._old else "if_previous"
        found: list[Frame] = []
        seen: set[int] = set()
        while current and current not in seen and len(seen) < _MAX_FRAMES:
            seen.add(current)
            frame = self._old_frame(current, 0) if self._old else self._new_frame(current, 0)
            if frame is not None:
                found.append(frame)
            current = read(current + layout[back])
        return found

    # One frame

    def _old_frame(self, address: int, owner: int) -> Frame | None:
        layout, memory = self.layout, self.memory
        if self.objects.kind(address) != "frame":
            return None
        info = self.objects.code(memory.u64(address + layout["f_code"]))
        if info is None:
            return None
        start = address + layout["f_localsplus"]
        depth = memory.i32(address + layout["f_stackdepth"])
        lasti = 2 * memory.i32(address + layout["f_lasti"])
        count = len(info.locals_names)
        exact = 0 <= depth <= info.stacksize
        slots = memory.words(start, count + (depth if exact else self._blocks(address)))
        owner = owner or memory.u64(address + layout["f_gen"]) or address
        globals_ = memory.u64(address + layout["f_globals"])
        return self._frame(info, slots, lasti=lasti, owner=owner, globals=globals_, first=start, exact=exact)

    def _blocks(self, address: int) -> int:
        """How much of a running frame's stack its open blocks keep, 3.10."""
        layout, memory = self.layout, self.memory
        count = memory.i32(address + layout["f_lasti"] + 8)
        if not 0 < count <= 20:
            return 0
        first = address + layout["f_lasti"] + 16
        levels = [memory.i32(first + 12 * i + 8) for i in range(count)]
        return max(0, min(max(levels), 4096))

    def _new_frame(self, address: int, owner: int) -> Frame | None:
        layout, memory = self.layout, self.memory
        info = self.objects.code(memory.u64(address + layout["if_code"]) & ~layout["tags"])
        if info is None:
            return None
        lasti = memory.u64(address + layout["if_instr"]) - info.address - layout["co_code_adaptive"]
        if not -2 <= lasti < len(info.bytecode):
            return None
        count, top = len(info.locals_names), self._top(address)
        exact = count <= top <= count + info.stacksize
        floor = max((h.depth for h in info.handlers() if h.start <= lasti < h.end), default=0)
        start = address + layout["if_localsplus"]
        slots = self._plain(memory.words(start, top if exact else count + min(floor, info.stacksize)))
        globals_ = memory.u64(address + layout["if_globals"])
        owner = owner or self._owner(address)
        return self._frame(info, slots, lasti=lasti, owner=owner, globals=globals_, first=start, exact=exact)

    def _top(self, address: int) -> int:
        """How many slots of a frame are in use, locals included; below that when it runs."""
        layout, memory = self.layout, self.memory
        if layout["if_stackpointer"] < 0:
            return memory.i32(address + layout["if_stacktop"])
        pointer = memory.u64(address + layout["if_stackpointer"])
        return (pointer - address - layout["if_localsplus"]) // 8 if pointer else -1

    def _plain(self, slots: list[int]) -> list[int]:
        """References without the tags that they carry in frames since 3.14; small integers are 0."""
        tags = self.layout["tags"]
        return [0 if word & tags == tags else word & ~tags for word in slots] if tags else slots

    def _owner(self, address: int) -> int:
        """The generator or coroutine around a frame that runs, 0 for a plain call."""
        holder = address - self.layout["gi_iframe"]
        return holder if self.objects.kind(holder) in GENERATORS and self.objects.is_live(holder) else 0

    def _frame(self, info: CodeInfo, slots: list[int], **fields: Any) -> Frame | None:
        count = len(info.locals_names)
        if len(slots) < count or count > _MAX_SLOTS:
            return None
        in_cells = {*info.cellvars, *info.freevars}
        found = {}
        for name, value in zip(info.locals_names, slots, strict=False):
            if value and name in in_cells and self.objects.kind(value) == "cell":
                value = self.objects.cell(value)  # noqa: PLW2901 - what a name is bound to, not its cell
            if value:
                found[name] = value
        return Frame(
            code=info.address,
            info=info,
            locals=found,
            stack=slots[count:],
            line=info.line(fields["lasti"]),
            **fields,
        )
