"""The flow of a code object, told by an interpreter of the version that it was compiled for.

Run alone as ``python -I -S flow_script.py``, on CPython 3.10 to 3.13, with the standard library only: a JSON
request on each line of stdin, an answer on a line of stdout. What both hold is in `exai_ops.sem.flow`, which
asks the questions; this knows the instructions. It decodes (specialized and instrumented ones included),
follows the value stack with names in the place of values, and says which calls, waits and ``with`` blocks
there are, where their effect comes about, and which way the code can go from there.
"""

# ruff: noqa: ARG001 - rules have one signature, whether or not they need the argument

from __future__ import annotations

import base64
import dis
import gc
import heapq
import itertools
import json
import opcode
import sys
from collections.abc import Callable
from typing import Any

VERSION = sys.version_info[:2]
LIMIT = 1_000_000  # bytes of bytecode
DEPTH = 12  # of an access path
WIDTH = 4  # alternatives of one
RETURN, RAISE = -1, -2

ACQUIRES = {"acquire", "acquire_nowait", "acquire_on_behalf_of", "acquire_on_behalf_of_nowait"}
ACQUIRES |= {"__enter__", "__aenter__"}
RELEASES = {"release", "release_on_behalf_of", "__exit__", "__aexit__"}
STACKS = {"enter_context", "enter_async_context"}
STARTERS = {"wait_for", "shield", "gather", "create_task", "ensure_future", "wait", "start_soon"}
KEEPERS = {"timeout", "timeout_at", "fail_after", "TaskGroup", "create_task_group", "open"}  # swallow nothing
QUIET = {"debug", "info", "warning", "error", "exception", "critical", "log"}  # logging swallows its failures
QUIET_BUILTINS = {
    "range",
    "len",
    "isinstance",
    "enumerate",
    "reversed",
    "list",
    "tuple",
    "print",
    "id",
    "type",
}

NOOPS = {
    "NOP", "RESUME", "CACHE", "PRECALL", "COPY_FREE_VARS", "MAKE_CELL", "SETUP_ANNOTATIONS",
    "GET_AWAITABLE", "GET_ITER", "GET_AITER", "GET_YIELD_FROM_ITER", "TO_BOOL", "ASYNC_GEN_WRAP",
    "LIST_TO_TUPLE", "FORMAT_SIMPLE", "INTERPRETER_EXIT",
}  # fmt: skip
RAISERS = {
    "SEND", "YIELD_VALUE", "YIELD_FROM", "RAISE_VARARGS", "RERAISE", "GET_ANEXT", "BEFORE_WITH",
    "BEFORE_ASYNC_WITH", "SETUP_WITH", "WITH_EXCEPT_START", "IMPORT_NAME", "IMPORT_FROM", "UNPACK_SEQUENCE",
    "UNPACK_EX", "STORE_SUBSCR", "DELETE_SUBSCR", "DELETE_ATTR", "END_ASYNC_FOR", "CLEANUP_THROW",
    "UNARY_NEGATIVE", "LOAD_NAME", "STORE_SLICE",
}  # fmt: skip
ENDS = {"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE"}
JUMPS = {"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "JUMP_ABSOLUTE", "JUMP"}
LOST = {"ENTER_EXECUTOR", "INSTRUMENTED_LINE", "INSTRUMENTED_INSTRUCTION"}


class Refused(Exception):
    """A code object that cannot be read; the text says why."""


# --- values by name ---------------------------------------------------------------------------------------


class Sym:
    """What is known of a value: how the code came by it. Equal ones are one object."""

    __slots__ = ("at", "depth", "kind", "name", "parts")

    def __init__(self, kind: str, name: Any, parts: tuple[Sym, ...], at: int) -> None:
        self.kind = kind
        self.name = name
        self.parts = parts
        self.at = at
        self.depth: int = 1 + parts[0].depth if parts else 1


class Syms:
    """Makes each value once."""

    def __init__(self) -> None:
        self.made: dict[Any, Sym] = {}
        self.unknown = self("unknown")
        self.null = self("null")
        self.none = self("const", "None")

    def __call__(self, kind: str, name: Any = "", parts: tuple[Sym, ...] = (), at: int = -1) -> Sym:
        key = (kind, name, parts, at)
        found = self.made.get(key)
        if found is None:
            found = self.made[key] = Sym(kind, name, parts, at)
            if found.depth > DEPTH:
                found = self.made[key] = self.unknown
        return found

    def either(self, one: Sym, other: Sym) -> Sym:
        """What may be the one or the other."""
        if one is other:
            return one
        some: list[Sym] = []
        for sym in (one, other):
            for part in sym.parts if sym.kind == "either" else (sym,):
                if part not in some:
                    some.append(part)
        return self.unknown if len(some) > WIDTH else self("either", "", tuple(some))


# --- instructions -----------------------------------------------------------------------------------------


class Ins:
    """One instruction, as the compiler wrote it. ``start`` counts its EXTENDED_ARGs in."""

    __slots__ = ("arg", "end", "handler", "name", "offset", "start", "target")

    def __init__(self, start: int, offset: int, end: int, name: str, arg: int) -> None:
        self.start = start
        self.offset = offset
        self.end = end
        self.name = name
        self.arg = arg
        self.target = -1
        self.handler: tuple[int, int, bool] | None = None  # index, depth, lasti


def tables() -> tuple[list[str], dict[str, str], dict[str, int]]:
    """Names of all opcodes, the base of each specialized one, and how many cache words follow a base."""
    names = list(vars(dis).get("_all_opname", opcode.opname))
    bases = dict(vars(dis).get("deoptmap", {}))
    caches = vars(opcode).get("_inline_cache_entries", {})
    if isinstance(caches, list):
        caches = {opcode.opname[op]: count for op, count in enumerate(caches) if count}
    if VERSION == (3, 11):
        bases.setdefault("EXTENDED_ARG_QUICK", "EXTENDED_ARG")
    return names, bases, dict(caches)


NAMES, BASES, CACHES = tables()


def base(name: str) -> str:
    """The instruction as the compiler wrote it."""
    if name.startswith("INSTRUMENTED_") and name not in LOST:
        name = name[len("INSTRUMENTED_") :]
    return BASES.get(name, name)


def sizes(name: str) -> int:
    """Bytes of an instruction and its cache, 0 for what cannot be read."""
    return 0 if name in LOST or name.startswith("<") else 2 + 2 * CACHES.get(name, 0)


DECODED = [(base(name), sizes(base(name))) for name in NAMES[:256]]


def decode(code: bytes, original: dict[str, Any]) -> list[Ins]:
    """Instructions in order; ``original`` gives [opcode, argument] of offsets whose own were replaced."""
    out: list[Ins] = []
    start = extended = 0
    begun = -1  # where its EXTENDED_ARGs begin
    for offset in range(0, len(code) - 1, 2):
        if offset < start:
            continue  # a cache
        op, arg = code[offset], code[offset + 1]
        if original and str(offset) in original:
            op, arg = original[str(offset)]
        name, size = DECODED[op]
        if not size:
            why = "hides the instruction that it replaced" if name in LOST else "is unknown to this version"
            raise Refused(f"{name} at {offset} {why}")
        if name == "EXTENDED_ARG":
            extended = (arg | extended) << 8
            begun = offset if begun < 0 else begun
            continue
        start = offset + size
        out.append(Ins(offset if begun < 0 else begun, offset, start, name, arg | extended))
        extended, begun = 0, -1
    return out


JUMPING = {dis.opname[op] for op in set(dis.hasjrel) | set(dis.hasjabs)}
ABSOLUTE = {dis.opname[op] for op in dis.hasjabs}


def link(code: list[Ins], index: dict[int, int]) -> None:
    """Give each jump the index of its target."""
    for ins in code:
        if ins.name in JUMPING:
            if VERSION == (3, 10):
                to = 2 * ins.arg if ins.name in ABSOLUTE else ins.end + 2 * ins.arg
            else:
                to = ins.end + (-2 if "JUMP_BACKWARD" in ins.name else 2) * ins.arg
            if to not in index:
                raise Refused(f"{ins.name} at {ins.offset} leads to {to}, where no instruction begins")
            ins.target = index[to]


def exception_table(raw: bytes) -> list[tuple[int, int, int, int, bool]]:
    """(start, end, target, depth, lasti) in bytes; the format is in CPython's exception_handling_notes."""
    numbers: list[int] = []
    value = 0
    for byte in raw:
        value = (value << 6) | (byte & 63)
        if not byte & 64:
            numbers.append(value)
            value = 0
    rows = zip(*[iter(numbers)] * 4, strict=True)
    return [(2 * s, 2 * (s + n), 2 * t, d >> 1, bool(d & 1)) for s, n, t, d in rows]


def protect(code: list[Ins], index: dict[int, int], table: bytes) -> None:
    """Give each instruction its handler."""
    for start, end, target, depth, lasti in exception_table(table):
        at = index.get(start)
        if at is None or target not in index:
            raise Refused(f"the exception table names {start} or {target}, where no instruction begins")
        while at < len(code) and code[at].start < end:
            code[at].handler = (index[target], depth, lasti)
            at += 1


# --- the value stack, followed ----------------------------------------------------------------------------

Stack = tuple[Sym, ...]
Blocks = tuple[tuple[int | None, int], ...]
Place = tuple[int, int]  # (index, -1): after the instruction; (index, index): on that way


class Machine:
    """Runs a code object with names for values; afterwards its lists hold what happened."""

    def __init__(self, request: dict[str, Any]) -> None:
        raw = base64.b64decode(request["bytecode"])
        if len(raw) > LIMIT:
            raise Refused(f"{len(raw)} bytes of bytecode are more than {LIMIT}")
        self.sym = Syms()
        self.code = decode(raw, request.get("original") or {})
        if not self.code:
            raise Refused("there is no bytecode")
        self.index = {ins.offset: at for at, ins in enumerate(self.code)}
        self.index.update({ins.start: at for at, ins in enumerate(self.code)})
        link(self.code, self.index)
        self.names: list[str] = request["names"]
        self.consts: list[Any] = request["consts"]
        self.variables(request)
        if VERSION >= (3, 11):
            protect(self.code, self.index, base64.b64decode(request.get("exceptiontable") or ""))
        self.args = int(request.get("argcount") or 0)
        self.entry: dict[int, tuple[Stack, Blocks]] = {}
        self.todo: list[int] = []  # a heap
        self.due: set[int] = set()
        self.stack: list[Sym] = []
        self.blocks: Blocks = ()
        self.at = 0
        self.kwnames: tuple[str, ...] = ()
        self.assigned: dict[str, dict[Sym, None]] = {}
        self.said: dict[int, list[tuple[str, Sym, tuple[Sym, ...]]]] = {}  # by index
        self.awaits: dict[Place, Sym] = {}
        self.waiting: dict[int, Sym] = {}  # instructions that are part of an await
        self.tests: dict[Place, Sym] = {}  # the way taken when the value is true
        self.closures: dict[int, list[Any]] = {}
        self.never: dict[int, int] = {}  # ways that a branch does not go
        self.leaders = {0} | {ins.target for ins in self.code if ins.target >= 0}
        self.leaders |= {ins.handler[0] for ins in self.code if ins.handler}
        self.handlers_of: dict[int, int | None] = {}

    def variables(self, request: dict[str, Any]) -> None:
        """Number the variables as the version does."""
        local, cell, free = request["varnames"], request["cellvars"], request["freevars"]
        self.fast = ["local:" + name for name in local]
        self.deref = ["local:" + name for name in cell] + ["free:" + name for name in free]
        if VERSION >= (3, 11):
            self.fast += ["local:" + name for name in cell if name not in local]
            self.fast += ["free:" + name for name in free]
            self.deref = self.fast

    # the run

    def run(self) -> None:
        """Follow every way until nothing new is learnt."""
        self.flow(0, (), ())
        budget = 40 * len(self.code) + 1000
        while self.todo:
            self.at = heapq.heappop(self.todo)
            self.due.remove(self.at)
            stack, self.blocks = self.entry[self.at]
            self.stack = list(stack)
            budget -= self.walk()
            if budget < 0:
                raise Refused("its flow has not settled")

    def walk(self) -> int:
        """Follow one straight run of instructions, give their number."""
        steps = 0
        handler = None
        while True:
            ins = self.code[self.at]
            steps += 1
            handler = self.guard(ins, handler)
            before = self.at
            if not self.step(ins) or self.never.get(before) == before + 1:
                return steps
            self.at = before + 1
            if self.at >= len(self.code):
                return steps
            if self.at in self.leaders:
                self.flow(self.at, tuple(self.stack), self.blocks)
                return steps

    def guard(self, ins: Ins, known: Any) -> Any:
        """Lead an exception of this instruction to its handler; what it finds there is the same for a run."""
        if VERSION >= (3, 11):
            if ins.handler is not None and ins.handler != known:
                target, depth, lasti = ins.handler
                kept = (*self.stack[:depth], *[self.sym.unknown] * (depth - len(self.stack)))
                self.flow(target, (*kept, *[self.sym.unknown] * (1 + lasti)), ())
            self.handlers_of[self.at] = ins.handler[0] if ins.handler else None
            return ins.handler
        return self.guard_by_block(known)

    def guard_by_block(self, known: Any) -> Any:
        """The same for 3.10, whose handlers are on a stack of blocks."""
        level = next((at for at in range(len(self.blocks), 0, -1) if self.blocks[at - 1][0] is not None), 0)
        self.handlers_of[self.at] = self.blocks[level - 1][0] if level else None
        if level:
            target, depth = self.blocks[level - 1]
            if self.blocks != known and target is not None:
                rest = (*self.blocks[: level - 1], (None, depth))
                self.flow(target, (*self.stack[:depth], *[self.sym.unknown] * 6), rest)
        return self.blocks

    def flow(self, target: int, stack: Stack, blocks: Blocks) -> None:
        """Come to an instruction with this stack."""
        self.leaders.add(target)
        old = self.entry.get(target)
        if old is not None:
            stack = tuple(map(self.sym.either, old[0], stack))  # the shorter one's length
            if stack == old[0]:
                return
            blocks = old[1]
        self.entry[target] = (stack, blocks)
        if target not in self.due:
            self.due.add(target)
            heapq.heappush(self.todo, target)

    # tools of the instructions

    def pop(self) -> Sym:
        """The value on top."""
        return self.stack.pop() if self.stack else self.sym.unknown

    def pops(self, count: int) -> list[Sym]:
        """Values on top, the deepest first."""
        return [self.pop() for _ in range(count)][::-1]

    def push(self, *syms: Sym) -> None:
        """Put values on top."""
        self.stack.extend(syms)

    def peek(self, depth: int) -> Sym:
        """The value at a depth, 1 for the top."""
        return self.stack[-depth] if depth <= len(self.stack) else self.sym.unknown

    def attr(self, of: Sym, name: str) -> Sym:
        """An attribute."""
        return self.sym("attr", name, (of,))

    def say(self, kind: str, sym: Sym, *args: Sym) -> None:
        """Note what this instruction does."""
        self.said.setdefault(self.at, []).append((kind, sym, args))

    def jump(self, target: int, stack: Stack | None = None) -> None:
        """Go to an instruction, with this stack or the present one."""
        self.flow(target, tuple(self.stack) if stack is None else stack, self.blocks)

    def branch(self, target: int, value: Sym, *, when: bool) -> None:
        """Go to an instruction when a value is so, to the next one otherwise, or either."""
        self.leaders.add(self.at + 1)
        self.never.pop(self.at, None)
        if value.kind == "const" and value.name == "True":
            self.never[self.at] = self.at + 1 if when else target
        if self.never.get(self.at) != target:
            self.jump(target)

    def step(self, ins: Ins) -> bool:
        """Do one instruction; whether the next one follows."""
        self.said.pop(self.at, None)
        name = ins.name
        todo = RULES.get(name)
        if todo is not None:
            return todo(self, ins) is not False
        if name in JUMPS:
            self.jump(ins.target)
            return False
        if name not in NOOPS:
            self.other(ins)
        return True

    def other(self, ins: Ins) -> None:
        """An instruction whose result has no name."""
        number = dis.opmap[ins.name]
        arg = ins.arg if number >= dis.HAVE_ARGUMENT else None
        change = dis.stack_effect(number, arg, jump=False)
        if change > 0:
            self.push(*[self.sym.unknown] * change)
            return
        self.pops(-change)
        if not ins.name.startswith(
            (
                "STORE_",
                "DELETE_",
                "POP_",
                "END_",
                "IMPORT_STAR",
                "GEN_START",
                "DICT_",
                "SET_",
                "LIST_",
                "MAP_",
            )
        ):
            self.pop()
            self.push(self.sym.unknown)

    def store(self, name: str, value: Sym) -> None:
        """Give a variable a value."""
        self.assigned.setdefault(name, {})[value] = None

    def call(self, callee: Sym, args: list[Sym], names: tuple[str, ...] = ()) -> None:
        """Call, and push what comes of it."""
        if callee.kind == "exit":
            self.say("exit", callee.parts[0])
            self.push(self.sym("exiting", "", callee.parts, self.at))
            return
        self.push(self.sym("call", names, (callee, *args), self.at))
        self.say("call", self.peek(1))


RULES: dict[str, Callable[[Machine, Ins], Any]] = {}


def rule(names: str) -> Callable[[Any], Any]:
    """Let a function do these instructions; it gives False when the next one does not follow."""

    def register(function: Any) -> Any:
        RULES.update(dict.fromkeys(names.split(), function))
        return function

    return register


# --- one function per instruction -------------------------------------------------------------------------


@rule("LOAD_FAST LOAD_FAST_CHECK LOAD_FAST_AND_CLEAR")
def load_fast(m: Machine, ins: Ins) -> None:
    m.push(m.sym("name", m.fast[ins.arg]))


@rule("LOAD_FAST_LOAD_FAST")
def load_two(m: Machine, ins: Ins) -> None:
    m.push(m.sym("name", m.fast[ins.arg >> 4]), m.sym("name", m.fast[ins.arg & 15]))


@rule("STORE_FAST STORE_FAST_MAYBE_NULL")
def store_fast(m: Machine, ins: Ins) -> None:
    m.store(m.fast[ins.arg], m.pop())


@rule("STORE_FAST_LOAD_FAST")
def store_load(m: Machine, ins: Ins) -> None:
    m.store(m.fast[ins.arg >> 4], m.pop())
    m.push(m.sym("name", m.fast[ins.arg & 15]))


@rule("STORE_FAST_STORE_FAST")
def store_two(m: Machine, ins: Ins) -> None:
    m.store(m.fast[ins.arg >> 4], m.pop())
    m.store(m.fast[ins.arg & 15], m.pop())


@rule("LOAD_DEREF LOAD_CLASSDEREF LOAD_CLOSURE LOAD_FROM_DICT_OR_DEREF")
def load_deref(m: Machine, ins: Ins) -> None:
    if ins.name == "LOAD_FROM_DICT_OR_DEREF":
        m.pop()
    m.push(m.sym("name", m.deref[ins.arg]))


@rule("STORE_DEREF")
def store_deref(m: Machine, ins: Ins) -> None:
    m.store(m.deref[ins.arg], m.pop())


@rule("LOAD_GLOBAL LOAD_NAME LOAD_FROM_DICT_OR_GLOBALS")
def load_global(m: Machine, ins: Ins) -> None:
    if ins.name == "LOAD_FROM_DICT_OR_GLOBALS":
        m.pop()
    wide = VERSION >= (3, 11) and ins.name == "LOAD_GLOBAL"
    name = m.sym("name", "global:" + m.names[ins.arg >> 1 if wide else ins.arg])
    if not (wide and ins.arg & 1):
        m.push(name)
    elif VERSION >= (3, 13):
        m.push(name, m.sym.null)
    else:
        m.push(m.sym.null, name)


@rule("STORE_GLOBAL STORE_NAME")
def store_global(m: Machine, ins: Ins) -> None:
    m.say("store_global", m.sym("name", "global:" + m.names[ins.arg]), m.pop())


@rule("LOAD_CONST")
def load_const(m: Machine, ins: Ins) -> None:
    m.push(constant(m, ins.arg))


def constant(m: Machine, number: int) -> Sym:
    """A constant by its number."""
    value = m.consts[number] if number < len(m.consts) else None
    if isinstance(value, dict):
        return m.sym("code", number)
    if isinstance(value, list):
        return m.sym("const", tuple(map(str, value)))
    return m.sym("const", repr(value))


@rule("LOAD_ATTR")
def load_attr(m: Machine, ins: Ins) -> None:
    wide = VERSION >= (3, 12)
    m.push(m.attr(m.pop(), m.names[ins.arg >> 1 if wide else ins.arg]))
    if wide and ins.arg & 1:
        m.push(m.sym.null)


@rule("LOAD_METHOD")
def load_method(m: Machine, ins: Ins) -> None:
    m.push(m.attr(m.pop(), m.names[ins.arg]), m.sym.null)


@rule("LOAD_SUPER_ATTR")
def load_super_attr(m: Machine, ins: Ins) -> None:
    me = m.pops(3)[-1]
    m.push(m.attr(me, m.names[ins.arg >> 2]))
    if ins.arg & 1:
        m.push(m.sym.null)


@rule("STORE_ATTR")
def store_attr(m: Machine, ins: Ins) -> None:
    value, of = m.pops(2)
    m.say("store_attr", m.attr(of, m.names[ins.arg]), value)


@rule("BINARY_SUBSCR")
def subscr(m: Machine, ins: Ins) -> None:
    of, key = m.pops(2)
    m.push(m.sym("item", "", (of, key), m.at))


@rule("STORE_SUBSCR")
def store_subscr(m: Machine, ins: Ins) -> None:
    value, of, key = m.pops(3)
    m.say("store_item", m.sym("item", "", (of, key), m.at), value)


@rule("DELETE_SUBSCR")
def delete_subscr(m: Machine, ins: Ins) -> None:
    """``del x[key]``: said as storing nothing there."""
    of, key = m.pops(2)
    m.say("store_item", m.sym("item", "", (of, key), m.at), m.sym.none)


@rule("KW_NAMES")
def kw_names(m: Machine, ins: Ins) -> None:
    m.kwnames = names_of(constant(m, ins.arg))


def names_of(sym: Sym) -> tuple[str, ...]:
    """The names that a constant tuple holds."""
    return sym.name if isinstance(sym.name, tuple) else ()


def callee(m: Machine) -> Sym:
    """What is called, from the two places under the arguments."""
    first, second = m.pops(2)
    return second if first is m.sym.null else first


@rule("CALL CALL_KW")
def call(m: Machine, ins: Ins) -> None:
    names = m.kwnames
    m.kwnames = ()
    if ins.name == "CALL_KW":
        names = names_of(m.pop())
    args = m.pops(ins.arg)
    m.call(callee(m), args, names)


@rule("CALL_FUNCTION CALL_METHOD CALL_FUNCTION_KW")
def call_310(m: Machine, ins: Ins) -> None:
    names = names_of(m.pop()) if ins.name == "CALL_FUNCTION_KW" else ()
    args = m.pops(ins.arg)
    m.call(callee(m) if ins.name == "CALL_METHOD" else m.pop(), args, names)


@rule("CALL_FUNCTION_EX")
def call_ex(m: Machine, ins: Ins) -> None:
    args = m.pops(1 + (ins.arg & 1))
    what = m.pop() if VERSION < (3, 11) else callee(m)
    flat = [part for arg in args for part in (arg.parts if arg.kind == "seq" else (arg,))]
    m.call(what, flat)


@rule("BUILD_TUPLE BUILD_LIST BUILD_SET BUILD_MAP BUILD_CONST_KEY_MAP")
def build(m: Machine, ins: Ins) -> None:
    count = ins.arg * (2 if ins.name == "BUILD_MAP" else 1)
    if ins.name == "BUILD_CONST_KEY_MAP":
        m.pop()
    m.push(m.sym("seq", "", tuple(m.pops(count)[:64])))


@rule("LIST_EXTEND SET_UPDATE")
def extend(m: Machine, ins: Ins) -> None:
    more = m.pop()
    at = len(m.stack) - ins.arg
    if at >= 0 and m.stack[at].kind == "seq":
        parts = more.parts if more.kind == "seq" else (more,)
        m.stack[at] = m.sym("seq", "", (*m.stack[at].parts, *parts)[:64])


@rule("UNPACK_SEQUENCE")
def unpack(m: Machine, ins: Ins) -> None:
    of = m.pop()
    known = of.parts if of.kind == "seq" and len(of.parts) == ins.arg else None
    for number in reversed(range(ins.arg)):
        part = m.sym("item", "", (of, m.sym("const", repr(number))), m.at)
        m.push(known[number] if known else part)


@rule("UNPACK_EX")
def unpack_ex(m: Machine, ins: Ins) -> None:
    of = m.pop()
    m.push(*[m.sym("each", "", (of,))] * ((ins.arg & 0xFF) + 1 + (ins.arg >> 8)))


@rule("FOR_ITER")
def for_iter(m: Machine, ins: Ins) -> None:
    of = m.peek(1)
    ended = (*m.stack, m.sym.unknown) if VERSION >= (3, 12) else tuple(m.stack[:-1])
    m.jump(ins.target, ended)
    m.push(m.sym("each", "", (of,)))


@rule("GET_ANEXT")
def get_anext(m: Machine, ins: Ins) -> None:
    m.push(m.sym("each", "", (m.peek(1),)))


@rule(" ".join(name for name in JUMPING if name.startswith("POP_JUMP")))
def pop_jump(m: Machine, ins: Ins) -> None:
    value = m.pop()
    when = ins.name.endswith(("IF_TRUE", "IF_NOT_NONE"))
    while value.kind == "not":
        value, when = value.parts[0], not when
    m.tests[(m.at, ins.target if when else m.at + 1)] = value
    m.branch(ins.target, value, when=when)


@rule("JUMP_IF_TRUE_OR_POP JUMP_IF_FALSE_OR_POP")
def jump_or_pop(m: Machine, ins: Ins) -> None:
    m.jump(ins.target)
    m.pop()
    m.leaders.add(m.at + 1)


@rule("UNARY_NOT")
def not_(m: Machine, ins: Ins) -> None:
    m.push(m.sym("not", "", (m.pop(),)))


@rule("CHECK_EXC_MATCH")
def exc_match(m: Machine, ins: Ins) -> None:
    kind = m.pop()
    m.push(m.sym("const", "True") if kind.name == "global:BaseException" else m.sym.unknown)


@rule("JUMP_IF_NOT_EXC_MATCH")
def jump_exc_match(m: Machine, ins: Ins) -> None:
    exc_match(m, ins)
    value = m.pop()
    m.pop()
    m.branch(ins.target, value, when=False)


@rule("COPY")
def copy(m: Machine, ins: Ins) -> None:
    m.push(m.peek(ins.arg))


@rule("SWAP")
def swap(m: Machine, ins: Ins) -> None:
    if ins.arg <= len(m.stack):
        m.stack[-1], m.stack[-ins.arg] = m.stack[-ins.arg], m.stack[-1]


@rule("ROT_TWO ROT_THREE ROT_FOUR ROT_N")
def rotate(m: Machine, ins: Ins) -> None:
    count = {"ROT_TWO": 2, "ROT_THREE": 3, "ROT_FOUR": 4}.get(ins.name, ins.arg)
    m.stack.insert(max(len(m.stack) - count, 0), m.pop())


@rule("DUP_TOP")
def dup_top(m: Machine, ins: Ins) -> None:
    m.push(m.peek(1))


@rule("DUP_TOP_TWO")
def dup_two(m: Machine, ins: Ins) -> None:
    m.push(m.peek(2), m.peek(1))


@rule("PUSH_NULL")
def push_null(m: Machine, ins: Ins) -> None:
    m.push(m.sym.null)


@rule("PUSH_EXC_INFO")
def push_exc_info(m: Machine, ins: Ins) -> None:
    top = m.pop()
    m.push(m.sym.unknown, top)


@rule("RETURN_GENERATOR")
def return_generator(m: Machine, ins: Ins) -> None:
    m.push(m.sym.unknown)


@rule("IMPORT_NAME")
def import_name(m: Machine, ins: Ins) -> None:
    m.pops(2)
    m.push(m.sym("name", "import:" + m.names[ins.arg]))


@rule("IMPORT_FROM")
def import_from(m: Machine, ins: Ins) -> None:
    m.push(m.attr(m.peek(1), m.names[ins.arg]))


@rule("CALL_INTRINSIC_1")
def intrinsic(m: Machine, ins: Ins) -> None:
    if ins.arg not in {4, 6}:  # an async generator's wrapping, a list made a tuple
        m.pop()
        m.push(m.sym.unknown)


# functions


@rule("MAKE_FUNCTION")
def make_function(m: Machine, ins: Ins) -> None:
    if VERSION < (3, 11):
        m.pop()
    code = m.pop()
    found = m.closures.setdefault(m.at, [code.name if code.kind == "code" else -1, (), ()])
    if VERSION >= (3, 13):
        m.push(m.sym("made", code.name if code.kind == "code" else -1, (), m.at))
        return
    if ins.arg & 8:
        found[1] = m.pop().parts
    m.pops(bool(ins.arg & 4))
    found[2] = [m.pop() for bit in (2, 1) if ins.arg & bit]
    m.push(m.sym("made", found[0], (), m.at))


@rule("SET_FUNCTION_ATTRIBUTE")
def set_function_attribute(m: Machine, ins: Ins) -> None:
    value, made = m.pops(2)
    if made.at in m.closures:
        if ins.arg == 8:
            m.closures[made.at][1] = value.parts
        elif ins.arg in {1, 2}:
            others = [sym for sym in m.closures[made.at][2] if sym is not value]
            m.closures[made.at][2] = [*others, value]
    m.push(made)


# with blocks


def enter(m: Machine, context: Sym) -> None:
    m.say("enter", context)
    m.push(m.sym("exit", "", (context,)))


@rule("BEFORE_WITH")
def before_with(m: Machine, ins: Ins) -> None:
    context = m.pop()
    enter(m, context)
    m.push(m.sym("entered", "", (context,)))


@rule("BEFORE_ASYNC_WITH")
def before_async_with(m: Machine, ins: Ins) -> None:
    context = m.pop()
    enter(m, context)
    m.push(m.sym("entering", "", (context,), m.at))


@rule("SETUP_WITH")
def setup_with(m: Machine, ins: Ins) -> None:
    context = m.pop()
    enter(m, context)
    m.blocks = (*m.blocks, (ins.target, len(m.stack)))
    m.push(m.sym("entered", "", (context,)))


@rule("SETUP_ASYNC_WITH")
def setup_async_with(m: Machine, ins: Ins) -> None:
    m.blocks = (*m.blocks, (ins.target, max(len(m.stack) - 1, 0)))


@rule("SETUP_FINALLY")
def setup_finally(m: Machine, ins: Ins) -> None:
    m.blocks = (*m.blocks, (ins.target, len(m.stack)))


@rule("POP_BLOCK")
def pop_block(m: Machine, ins: Ins) -> None:
    m.blocks = m.blocks[:-1]


@rule("POP_EXCEPT")
def pop_except(m: Machine, ins: Ins) -> None:
    m.pops(3 if VERSION < (3, 11) else 1)
    m.blocks = m.blocks[:-1]


def keeps(context: Sym) -> bool:
    """Whether leaving a context lets an exception go on."""
    callee = context.parts[0] if context.kind == "call" else context
    return str(callee.name).rpartition(":")[2] in KEEPERS


@rule("WITH_EXCEPT_START")
def with_except_start(m: Machine, ins: Ins) -> None:
    exit_ = m.peek(7 if VERSION < (3, 11) else 4)
    if exit_.kind == "exit":
        m.say("exit", exit_.parts[0])
        leaving = m.sym("exiting", "", exit_.parts, m.at)
        follows = m.code[m.at + 1].name
        m.push(leaving if follows == "GET_AWAITABLE" else outcome(m, leaving))
    else:
        m.push(m.sym.unknown)


# awaits


def outcome(m: Machine, of: Sym) -> Sym:
    """What awaiting gives."""
    if of.kind == "exiting" and keeps(of.parts[0]):
        return m.sym("not", "", (m.sym("const", "True"),))
    return m.sym("entered", "", of.parts) if of.kind == "entering" else of


@rule("YIELD_FROM")
def yield_from(m: Machine, ins: Ins) -> None:
    m.pop()
    of = m.pop()
    m.awaits[(m.at, -1)] = m.waiting[m.at] = of
    m.push(outcome(m, of))


@rule("SEND")
def send(m: Machine, ins: Ins) -> None:
    m.pop()
    of = m.peek(1)
    m.waiting[m.at] = of
    if VERSION >= (3, 12):
        m.jump(ins.target, (*m.stack, outcome(m, of)))
    else:
        m.awaits[(m.at, ins.target)] = of
        m.jump(ins.target, (*m.stack[:-1], outcome(m, of)))
    m.push(m.sym("sent", "", (of,)))


@rule("CLEANUP_THROW")
def cleanup_throw(m: Machine, ins: Ins) -> None:
    of = m.pops(3)[0]
    m.waiting[m.at] = of
    m.push(of, m.sym.unknown)


@rule("END_SEND")
def end_send(m: Machine, ins: Ins) -> None:
    of, _ = m.pops(2)
    m.awaits[(m.at, -1)] = of
    m.push(outcome(m, of))


@rule("YIELD_VALUE")
def yield_value(m: Machine, ins: Ins) -> None:
    value = m.pop()
    if value.kind == "sent":
        m.waiting[m.at] = value.parts[0]
        m.push(value)
        return
    m.say("yield", value, value)
    m.push(m.sym.unknown)


# ends


@rule("END_ASYNC_FOR")
def end_async_for(m: Machine, ins: Ins) -> None:
    m.pops(7 if VERSION < (3, 11) else 2)
    m.blocks = m.blocks[:-1]


@rule("END_FOR")
def end_for(m: Machine, ins: Ins) -> None:
    m.pops(2 if VERSION == (3, 12) else 1)


@rule("RETURN_VALUE RETURN_CONST")
def give_back(m: Machine, ins: Ins) -> bool:
    value = m.pop() if ins.name == "RETURN_VALUE" else constant(m, ins.arg)
    m.say("return", value, value)
    return False


@rule("RAISE_VARARGS RERAISE")
def give_up(m: Machine, ins: Ins) -> bool:
    return False


# --- paths ------------------------------------------------------------------------------------------------

Path = tuple[str, ...]
NAMELESS = {"const", "unknown", "seq", "not"}
STEPS = {"call", "each", "entered", "exit", "entering", "exiting"}


class Paths:
    """Says values as access paths, with the aliases of locals resolved."""

    def __init__(self, machine: Machine, arguments: list[str]) -> None:
        self.assigned = machine.assigned
        self.arguments = set(arguments)
        self.known: dict[Sym, list[Path]] = {}

    def alias(self, sym: Sym) -> Sym:
        """What a local that is given one value only stands for."""
        for _ in range(WIDTH):
            values = self.assigned.get(sym.name, {}) if sym.kind == "name" else {}
            if len(values) != 1 or sym.name in self.arguments:
                break
            sym = next(iter(values))
        return sym

    def of(self, sym: Sym) -> list[Path]:
        """Paths that it may be had by, the plainest first."""
        found = self.known.get(sym)
        if found is None:
            self.known[sym] = [(sym.name,)] if sym.kind == "name" else [("unknown",)]  # ends a circle
            paths = self.find(sym)
            found = self.known[sym] = list(dict.fromkeys(path[: 2 * DEPTH] for path in paths))[: 2 * WIDTH]
        return found

    def find(self, sym: Sym) -> list[Path]:
        """The same, not remembered."""
        kind = sym.kind
        if kind == "name":
            return self.variable(sym)
        if kind == "either":
            paths = [path for part in sym.parts for path in self.of(part)]
            return [path for path in paths if path[0] != "unknown"] or [("unknown",)]
        last = self.step(sym)
        if last:
            return [(*path, last) for path in self.of(sym.parts[0])]
        if kind in {"const", "code", "made"}:
            return [(f"{'const' if kind == 'const' else 'code'}:{sym.name}",)]
        return [(kind if kind in NAMELESS else "unknown",)]

    def step(self, sym: Sym) -> str:
        """The last step of a path, empty where there is none."""
        if sym.kind == "attr":
            return f"attr:{sym.name}"
        if sym.kind == "item":
            key = self.alias(sym.parts[1])
            return f"item:{key.name if key.kind == 'const' else '.'.join(self.of(key)[0])}"
        return sym.kind if sym.kind in STEPS else ""

    def variable(self, sym: Sym) -> list[Path]:
        """A variable by the values that it is given, and by its own name."""
        own = (str(sym.name),)
        found: list[Path] = [own] if sym.name in self.arguments else []
        for value in list(self.assigned.get(sym.name, {}))[:WIDTH]:
            found += [path for path in self.of(value) if path[0].partition(":")[0] not in NAMELESS]
        return [*found, own]


# --- events and the graph ---------------------------------------------------------------------------------


class Story:
    """What a machine has seen, as events and nodes."""

    def __init__(self, machine: Machine, arguments: list[str]) -> None:
        self.m = machine
        self.paths = Paths(machine, arguments)
        self.events: list[dict[str, Any]] = []
        self.places: dict[Place, list[int]] = {}
        self.parts: dict[int, list[int]] = {}  # instruction -> events whose failure is its
        self.calls: dict[Sym, list[Place]] = {}
        self.begun: dict[Sym, Sym] = {}
        self.find_awaited()
        self.find_tested()
        self.tell()

    def find_awaited(self) -> None:
        """Which calls take effect when an await ends."""
        for place, sym in self.m.awaits.items():
            for inner in self.inner(sym, DEPTH):
                self.calls.setdefault(inner, []).append(place)
                self.begun[inner] = sym

    def inner(self, sym: Sym, depth: int) -> list[Sym]:
        """The calls that an awaited value stands for."""
        sym = self.paths.alias(sym)
        found: list[Sym] = []
        if sym.kind in {"either", "seq"} and depth:
            for part in sym.parts:
                found += self.inner(part, depth - 1)
        elif sym.kind in {"entering", "exiting"}:
            found.append(sym)
        elif sym.kind == "call":
            found.append(sym)
            callee = self.paths.alias(sym.parts[0])
            if depth and callee.kind in {"attr", "name"} and callee.name.rpartition(":")[2] in STARTERS:
                for part in sym.parts[1:]:
                    found += self.inner(part, depth - 1)
        return found

    def find_tested(self) -> None:
        """Which calls take effect only on the way where their result is true."""
        for place, sym in self.m.tests.items():
            if sym.kind == "call" and sym not in self.calls and self.callee(sym)[0] == "acquire":
                self.calls.setdefault(sym, []).append(place)

    def callee(self, sym: Sym) -> tuple[str, Sym]:
        """(kind, what it is done to) of a call."""
        what = self.paths.alias(sym.parts[0])
        if what.kind == "attr" and what.name in ACQUIRES:
            return "acquire", what.parts[0]
        if what.kind == "attr" and what.name in RELEASES:
            return "release", what.parts[0]
        return "call", what

    def tell(self) -> None:
        """Make the events, each where its effect comes about."""
        for at in sorted(self.m.said):
            for kind, sym, args in self.m.said[at]:
                if kind == "call":
                    self.tell_call(at, sym)
                elif kind in {"enter", "exit"}:
                    self.tell_with(at, kind, sym)
                else:
                    number = self.event(at, kind, sym, args)
                    self.put(number, (at, -1))
                    self.tell_given(
                        at, self.m.sym.none if kind in {"return", "yield"} else sym, args, stored=True
                    )
        for place, sym in self.m.awaits.items():
            self.put(self.event(place[0], "await", sym, ()), place)
        waits: dict[Sym, list[int]] = {}
        for at, sym in self.m.waiting.items():
            waits.setdefault(sym, []).append(at)
        for number, event in enumerate(self.events):
            for at in waits.get(event.pop("awaited", None), ()):
                self.parts.setdefault(at, []).append(number)

    def event(self, at: int, kind: str, sym: Sym, args: tuple[Sym, ...], **more: Any) -> int:
        """Add an event, give its number."""
        paths = self.paths.of(sym)
        given = [self.argument(arg) for arg in args]
        event = {"offset": self.m.code[at].offset, "kind": kind, "paths": paths, "args": given, **more}
        self.events.append(event)
        return len(self.events) - 1

    def argument(self, sym: Sym) -> Path:
        """The plainest path of a value that says all of it."""
        paths = self.paths.of(sym)
        return next((path for path in paths if not any("unknown" in part for part in path)), paths[0])

    def put(self, number: int, place: Place) -> None:
        """Let an event come about there."""
        self.places.setdefault(place, []).append(number)

    def tell_call(self, at: int, sym: Sym) -> None:
        kind, target = self.callee(sym)
        names = sym.name
        args = sym.parts[1:]
        places = self.calls.get(sym, [(at, -1)])
        awaited = sym in self.begun
        tested = not awaited and sym in self.calls
        if len(places) > 1:
            places = [(at, -1)]
        may = kind == "acquire" and not awaited and not tested and self.may_fail(args)
        callee = self.paths.of(self.paths.alias(sym.parts[0]))
        number = self.event(at, kind, target, args, keywords=list(names), may=may, callees=callee,
                            awaited=self.begun.get(sym))  # fmt: skip
        self.put(number, places[0])
        self.parts.setdefault(at, []).append(number)
        if kind == "acquire" and tested:
            del self.parts[at][-1]
        for item in self.subscripts(sym.parts[0]):
            self.parts.setdefault(item, []).append(number)
        self.tell_given(at, sym.parts[0], args)

    def may_fail(self, args: tuple[Sym, ...]) -> bool:
        """Whether an acquire with these arguments may come back without a permit."""
        return any(self.paths.of(arg)[0] not in {("const:True",), ("const:None",)} for arg in args)

    def subscripts(self, sym: Sym) -> list[int]:
        """The instructions that look the receiver of a call up."""
        found = []
        for _ in range(DEPTH):  # a variable may stand for a part of itself
            if sym.kind == "item":
                found.append(sym.at)
            if sym.parts:
                sym = self.paths.alias(sym.parts[0])
        return found

    def tell_given(self, at: int, to: Sym, args: tuple[Sym, ...], *, stored: bool = False) -> None:
        """Say what is handed to someone else."""
        name = str(to.name).rpartition(":")[2] if to.kind in {"attr", "name"} else ""
        for arg in self.flat(args, WIDTH):
            if arg.kind == "attr" and arg.name in RELEASES:
                self.put(
                    self.event(at, "release_given", arg.parts[0], (), callees=self.paths.of(to)), (at, -1)
                )
            elif not stored and arg.kind not in {"const", "unknown", "null", "not"}:
                kind = "enter_given" if name in STACKS else "pass"
                self.put(self.event(at, kind, arg, (), callees=self.paths.of(to)), (at, -1))

    def flat(self, args: tuple[Sym, ...], depth: int) -> list[Sym]:
        """Arguments, those within a tuple or list too."""
        found = []
        for arg in map(self.paths.alias, args):
            if arg.kind in {"seq", "either"} and depth:
                found += self.flat(arg.parts, depth - 1)
            else:
                found.append(arg)
        return found

    def tell_with(self, at: int, kind: str, context: Sym) -> None:
        of = self.m.sym.made.get((kind + "ing" if kind == "exit" else "entering", "", (context,), at))
        places = self.calls.get(of, [(at, -1)]) if of else [(at, -1)]
        awaited = self.begun.get(of) if of else None
        number = self.event(at, kind, context, (), awaited=awaited)
        self.put(number, places[0])
        self.parts.setdefault(at, []).append(number)


class Graph:
    """Nodes of straight code: an event or what may raise is at the end of each."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.m = story.m
        self.code = self.m.code
        self.edges: dict[int, list[int]] = {}
        for at in self.m.handlers_of:
            self.edges[at] = self.successors(at)
        self.raisers = {at for at in self.edges if self.raises(at)}
        self.unreached()
        self.number: dict[int, int] = {}
        self.nodes: list[list[Any]] = []
        self.build()

    def successors(self, at: int) -> list[int]:
        """Where an instruction leads."""
        ins = self.code[at]
        if ins.target < 0 and ins.name not in ENDS and at + 1 < len(self.code):
            return [at + 1]
        if ins.name in ENDS:
            return [RETURN if ins.name.startswith("RETURN") else RAISE]
        out = [] if ins.name in JUMPS else [at + 1 if at + 1 < len(self.code) else RETURN]
        if ins.target >= 0 and not ins.name.startswith("SETUP_") and ins.target not in out:
            out.append(ins.target)
        return [to for to in out if to != self.m.never.get(at)]

    def raises(self, at: int) -> bool:
        """Whether an exception is to be reckoned with."""
        name = self.code[at].name
        if name.startswith("CALL") and not name.startswith("CALL_INTRINSIC"):
            return not self.quiet(at)
        return name in RAISERS or name.startswith(("BINARY_", "INPLACE_", "COMPARE_"))

    def quiet(self, at: int) -> bool:
        """Whether a call is one that does not fail."""
        for kind, sym, _ in self.m.said.get(at, ()):
            callee = sym.parts[0] if kind == "call" else sym
            if callee.kind == "attr" and callee.name in QUIET:
                return True
            if callee.kind == "name" and callee.name.startswith("global:"):
                return callee.name[7:] in QUIET_BUILTINS
        return False

    def unreached(self) -> None:
        """Let everything raise where a handler that someone wrote would not be reached otherwise."""
        by: dict[int, list[int]] = {}
        for at, handler in self.m.handlers_of.items():
            if handler is not None:
                by.setdefault(handler, []).append(at)
        for handler, those in by.items():
            if self.written(handler) and not self.raisers.intersection(those):
                self.raisers.update(those)

    def written(self, handler: int) -> bool:
        """Whether a handler is the program's own, not the compiler's tidying up after another."""
        names = [ins.name for ins in self.code[handler : handler + 3]]
        if "WITH_EXCEPT_START" in names[:2]:
            return False
        if VERSION >= (3, 11):
            return names[0] == "PUSH_EXC_INFO"
        return [name[:5] for name in names] != ["LOAD_", "STORE", "DELET"]

    def build(self) -> None:
        starts = self.starts()
        for at in starts:
            self.number[at] = len(self.nodes)
            self.nodes.append([])
        for at, following in zip(starts, [*starts[1:], -1], strict=True):
            self.node(at, following)

    def starts(self) -> list[int]:
        """Where nodes begin."""
        found = {0} & self.edges.keys()
        for at, out in self.edges.items():
            if len(out) > 1 or out[0] != at + 1 or at in self.raisers or (at, -1) in self.story.places:
                found.update(to for to in [*out, at + 1] if to in self.edges)
            if at in self.raisers and self.m.handlers_of[at] is not None:
                found.add(self.m.handlers_of[at] or 0)
            if at in self.m.entry:
                found.add(at)
        return sorted(found)

    def node(self, at: int, following: int) -> None:
        """Fill a node: [start, end, events, ways on, handler, events whose failure it would be]."""
        last = at
        while last + 1 != following and last + 1 in self.edges and self.edges[last] == [last + 1]:
            last += 1
        handler = None
        if last in self.raisers:
            handler = self.m.handlers_of[last]
            handler = RAISE if handler is None else self.number[handler]
        out = [self.way(last, to) for to in self.edges[last]]
        if self.edges[last] == [RAISE]:
            out, handler = [RAISE if handler in {None, RAISE} else handler], None
        events = self.story.places.get((last, -1), [])
        self.nodes[self.number[at]] = [self.code[at].start, self.code[last].end, events, out, handler,
                                       self.story.parts.get(last, [])]  # fmt: skip

    def way(self, source: int, to: int) -> int:
        """The node that follows; one between when something comes about on the way."""
        number = to if to < 0 else self.number[to]
        events = self.story.places.get((source, to))
        if not events:
            return number
        self.nodes.append([-1, -1, events, [number], None, []])
        return len(self.nodes) - 1


def resumed(machine: Machine) -> list[list[int]]:
    """[offset, offset] of each RESUME after a yield, where 3.13 stands while suspended, and of the yield."""
    code = machine.code
    pairs = itertools.pairwise(code)
    return [[b.offset, a.offset] for a, b in pairs if a.name == "YIELD_VALUE" and b.name == "RESUME"]


def analyse(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request."""
    machine = Machine(request)
    machine.run()
    flags = int(request.get("flags") or 0)
    count = int(request.get("argcount") or 0) + int(request.get("kwonlyargcount") or 0)
    count += bool(flags & 4) + bool(flags & 8)
    if "argcount" not in request:
        count = 0
    arguments = ["local:" + name for name in request["varnames"][:count]]
    story = Story(machine, arguments)
    graph = Graph(story)
    closures = []
    for at, (number, cells, defaults) in sorted(machine.closures.items()):
        captured = [str(cell.name).rpartition(":")[2] for cell in cells if cell.kind == "name"]
        flat = story.flat(tuple(defaults), WIDTH)
        closures.append([machine.code[at].offset, number, captured, [story.paths.of(sym)[0] for sym in flat]])
    return {
        "code_id": request["code_id"],
        "events": story.events,
        "nodes": graph.nodes,
        "closures": closures,
        "resumed": resumed(machine),
        "instructions": len(machine.code),
    }


def main() -> None:
    """Say that it runs, then answer until there are no more requests."""
    gc.set_threshold(500_000)  # what is made for one answer lives until it is given
    sys.stdout.write(json.dumps({"ready": VERSION}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        request: dict[str, Any] = {}
        try:
            request = json.loads(line)
            answer = analyse(request)
        except Exception as error:  # noqa: BLE001 - the process's boundary: one bad code object is one refusal
            why = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
            answer = {"code_id": request.get("code_id"), "error": why}
        sys.stdout.write(json.dumps(answer, separators=(",", ":")) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
