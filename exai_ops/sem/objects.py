"""A live process's objects, read from outside: what they are, what they hold, who refers to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from exai_ops.sem.codes import CodeInfo, plain_bytecode
from exai_ops.sem.layout import Layout
from exai_ops.sem.memory import Memory
from exai_ops.sem.values import Values

if TYPE_CHECKING:
    from exai_ops.sem.referrers import Ref

_LOCAL: Final = 0x20
_CELL: Final = 0x40
_FREE: Final = 0x80
_MAX_CODE: Final = 1 << 20

KINDS: Final = {
    "dict": "dict", "list": "list", "tuple": "tuple", "set": "set", "frozenset": "set", "cell": "cell",
    "function": "function", "method": "method", "builtin_function_or_method": "builtin", "code": "code",
    "frame": "frame", "coroutine": "coroutine", "generator": "generator",
    "async_generator": "async_generator",
    "coroutine_wrapper": "coroutine_wrapper", "asend": "asend", "athrow": "athrow", "anext": "anext",
    "module": "module", "type": "type", "str": "str", "int": "int", "bool": "int", "float": "float",
    "bytes": "bytes", "NoneType": "none", "weakref": "weakref", "ReferenceType": "weakref",
}  # fmt: skip
NAMED_KINDS: Final = {
    "collections.deque": "deque", "functools.partial": "partial", "_asyncio.Task": "task",
    "_asyncio.Future": "future", "asyncio.tasks.Task": "task", "asyncio.futures.Future": "future",
    "_asyncio.FutureIter": "future_iter", "weakref": "weakref", "weakref.ReferenceType": "weakref",
    "TaskStepMethWrapper": "task_wakeup", "TaskWakeupMethWrapper": "task_wakeup",
}  # fmt: skip


class Function(NamedTuple):
    """A function written in Python; 0 where it has none."""

    code: int
    closure: tuple[int, ...]
    globals: int
    qualname: str


class Partial(NamedTuple):
    """A ``functools.partial``: addresses of its function, arguments tuple and keywords dict."""

    func: int
    args: int
    kwargs: int


class Objects(Values):
    """Everything that can be asked of one object, and of all."""

    def __init__(self, memory: Memory, layout: Layout) -> None:
        super().__init__(memory, layout)
        self._kinds: dict[int, str] = {
            address: KINDS[name] for name, address in self.static.items() if name in KINDS
        }
        self._fixed = dict(self._kinds)
        self._codes: dict[int, CodeInfo | None] = {}

    def forget(self) -> None:
        """Forget everything that was read."""
        super().forget()
        self._kinds = dict(self._fixed)
        self._codes.clear()

    def kind(self, address: int) -> str:
        """A value of ``KINDS`` or ``NAMED_KINDS``, ``instance`` for other objects, ``""`` for none."""
        return self.kind_of_type(self.type_of(address)) if address else ""

    def kind_of_type(self, kind: int) -> str:
        """What the instances of a type are."""
        known = self._kinds.get(kind)
        if known is None:
            known = self._classify(kind) if kind and self.is_type(kind) else ""
            self._kinds[kind] = known
        return known

    def cell(self, address: int) -> int:
        """What a cell holds, 0 when it is empty or no cell."""
        return self.memory.u64(address + self.layout["cell_ref"]) if self.kind(address) == "cell" else 0

    def method(self, address: int) -> tuple[int, int] | None:
        """(self, function) of a bound method."""
        if self.kind(address) != "method":
            return None
        memory, layout = self.memory, self.layout
        return memory.u64(address + layout["m_self"]), memory.u64(address + layout["m_func"])

    def builtin(self, address: int) -> tuple[int, str] | None:
        """(self, name) of a builtin function or method; self is 0 for a function without one."""
        if self.kind(address) != "builtin":
            return None
        memory = self.memory
        name = memory.text(memory.u64(memory.u64(address + self.layout["b_name"])))
        return memory.u64(address + self.layout["b_self"]), name or ""

    def function(self, address: int) -> Function | None:
        """A function written in Python."""
        if self.kind(address) != "function":
            return None
        memory, layout = self.memory, self.layout
        closure = memory.u64(address + layout["func_closure"])
        return Function(
            memory.u64(address + layout["func_code"]),
            tuple(self.sequence(closure)) if closure else (),
            memory.u64(address + layout["func_globals"]),
            self.text(memory.u64(address + layout["func_qualname"])) or "",
        )

    def function_extras(self, address: int) -> tuple[int, int]:
        """(defaults tuple, keyword defaults dict) of a function, 0 where it has none."""
        memory, layout = self.memory, self.layout
        return memory.u64(address + layout["func_defaults"]), memory.u64(address + layout["func_kwdefaults"])

    def partial(self, address: int) -> Partial | None:
        """A ``functools.partial``."""
        if self.kind(address) != "partial":
            return None
        read, layout = self.memory.u64, self.layout
        return Partial(
            read(address + layout["p_func"]),
            read(address + layout["p_args"]),
            read(address + layout["p_keywords"]),
        )

    def weak_reference(self, address: int) -> int:
        """What a weak reference leads to, 0 when that is gone or this is none."""
        if self.kind(address) != "weakref":
            return 0
        found = self.memory.u64(address + self.layout["wr_object"])
        return 0 if found == self.none else found

    def module_dict(self, address: int) -> int:
        """The dict of a module's globals."""
        return self.memory.u64(address + self.layout["md_dict"]) if self.kind(address) == "module" else 0

    def code(self, address: int) -> CodeInfo | None:
        """A code object; remembered, since it does not change but for what is specialised."""
        if address not in self._codes:
            self._codes[address] = self._read_code(address) if self.kind(address) == "code" else None
        return self._codes[address]

    def referrers(self, addresses: Iterable[int]) -> dict[int, list[Ref]]:
        """Who refers to each of these objects, and how; see :mod:`exai_ops.sem.referrers`."""
        from exai_ops.sem.referrers import find_referrers

        return find_referrers(self, addresses)

    def _classify(self, kind: int) -> str:
        for one in self.mro(kind):
            known = self._fixed.get(one) or NAMED_KINDS.get(self._qualified(one))
            if known:
                return known
        return "instance"

    def _texts(self, address: int) -> tuple[str, ...]:
        return tuple(self.text(one) or "" for one in self.sequence(address)[:65536])

    def _replaced(self, address: int, raw: bytes) -> bytes:
        """The instructions that a tracer has replaced, one byte for each unit of the bytecode."""
        memory, layout = self.memory, self.layout
        if layout.get("co_monitoring") < 0 or layout.opcodes.lined not in raw[::2]:
            return b""
        lines = memory.u64(memory.u64(address + layout["co_monitoring"]) + layout["mon_lines"])
        first, step, count = layout["mon_first"], layout["mon_step"], len(raw) // 2
        data = memory.read(lines, first + step * (count - 1) + 1) if lines else None
        return data[first::step] if data else b""

    def _read_code(self, address: int) -> CodeInfo | None:
        memory, layout = self.memory, self.layout

        def held(name: str) -> int:
            return memory.u64(address + layout[name])

        if layout.minor < (3, 11):
            variables, cells, free = (
                self._texts(held(f"co_{n}")) for n in ("varnames", "cellvars", "freevars")
            )
            every = variables + cells + free
            raw = self.bytes_of(held("co_code"))
        else:
            every = self._texts(held("co_localsplusnames"))
            kinds = self.bytes_of(held("co_localspluskinds")) or b""
            pairs = list(zip(every, kinds, strict=False))
            variables = tuple(n for n, k in pairs if k & _LOCAL)
            cells, free = tuple(n for n, k in pairs if k & _CELL), tuple(n for n, k in pairs if k & _FREE)
            size = memory.u64(address + 16)
            raw = (
                memory.read(address + layout["co_code_adaptive"], 2 * size) if 0 < size < _MAX_CODE else None
            )
        name, filename = self.text(held("co_name")), self.text(held("co_filename"))
        if raw is None or name is None or filename is None:
            return None
        return CodeInfo(
            address=address,
            name=name,
            qualname=(self.text(held("co_qualname")) if layout.minor >= (3, 11) else None) or name,
            filename=filename,
            firstlineno=memory.i32(address + layout["co_firstlineno"]),
            names=self._texts(held("co_names")),
            consts=tuple(self.sequence(held("co_consts"))),
            locals_names=every,
            varnames=variables,
            cellvars=cells,
            freevars=free,
            flags=memory.i32(address + layout["co_flags"]),
            stacksize=memory.i32(address + layout["co_stacksize"]),
            bytecode=plain_bytecode(raw, layout.opcodes, self._replaced(address, raw)),
            linetable=self.bytes_of(held("co_linetable")) or b"",
            exceptiontable=(self.bytes_of(held("co_exceptiontable")) or b"")
            if layout.minor >= (3, 11)
            else b"",
            minor=layout.minor,
        )
