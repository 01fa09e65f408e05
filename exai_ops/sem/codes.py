"""Code objects as values: names, bytecode, lines, handlers. Formats: CPython's ``Objects/locations.md``,
``Objects/exception_handling_notes.txt`` and, for 3.10, ``Objects/lnotab_notes.txt``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from exai_ops.sem.layout import Opcodes


class Handler(NamedTuple):
    """A row of an exception table, 3.11 and newer.

    Attributes:
        start, end, target: Byte offsets; ``end`` is exclusive.
        depth: How much of the value stack stays.
        lasti: Whether the offset of the instruction is pushed too.
    """

    start: int
    end: int
    target: int
    depth: int
    lasti: bool


@dataclass(frozen=True, slots=True)
class CodeInfo:
    """A code object.

    Attributes:
        address: Where it lies.
        consts: Addresses of its constants.
        locals_names: Names of its fast locals in their order: arguments and variables, cells, free variables.
        bytecode: As ``co_code`` would give it: nothing specialised or instrumented, caches zero.
        exceptiontable: Empty before 3.11.
        minor: Version of the interpreter it is of.
    """

    address: int
    name: str
    qualname: str
    filename: str
    firstlineno: int
    names: tuple[str, ...]
    consts: tuple[int, ...]
    locals_names: tuple[str, ...]
    varnames: tuple[str, ...]
    cellvars: tuple[str, ...]
    freevars: tuple[str, ...]
    flags: int
    stacksize: int
    bytecode: bytes = field(repr=False)
    linetable: bytes = field(repr=False)
    exceptiontable: bytes = field(repr=False)
    minor: tuple[int, int] = (3, 11)

    def line(self, offset: int) -> int:
        """The line of the instruction at a byte offset; the first line when that is not known."""
        for start, end, line in lines(self):
            if start <= offset < end and line is not None:
                return line
        return self.firstlineno

    def handlers(self) -> tuple[Handler, ...]:
        """The rows of its exception table."""
        return parse_exceptions(self.exceptiontable)


def plain_bytecode(raw: bytes, opcodes: Opcodes, replaced: bytes = b"") -> bytes:
    """Bytecode with each specialised instruction turned back and each inline cache zero.

    Args:
        replaced: For each unit of two bytes the instruction that a tracer put its own in place of.
    """
    found = bytearray(raw)
    offset = 0
    while offset + 1 < len(found):
        code = found[offset]
        if code == opcodes.lined and offset // 2 < len(replaced):
            code = replaced[offset // 2]
        code = opcodes.base.get(code, code)
        found[offset] = code
        caches = 2 * opcodes.caches[code]
        found[offset + 2 : offset + 2 + caches] = bytes(min(caches, max(0, len(found) - offset - 2)))
        offset += 2 + caches
    return bytes(found)


@lru_cache(maxsize=4096)
def lines(code: CodeInfo) -> tuple[tuple[int, int, int | None], ...]:
    """(start, end, line) in byte offsets, in order."""
    rows = _old_lines(code) if code.minor < (3, 11) else _new_lines(code)
    return tuple(rows)


def _old_lines(code: CodeInfo) -> Iterator[tuple[int, int, int | None]]:
    line, start = code.firstlineno, 0
    table = code.linetable
    for index in range(0, len(table) - 1, 2):
        step, change = table[index], table[index + 1]
        if change == 128:
            yield start, start + step, None
        else:
            line += change - 256 if change > 127 else change
            if step:
                yield start, start + step, line
        start += step


def _new_lines(code: CodeInfo) -> Iterator[tuple[int, int, int | None]]:
    table, index, line, start = code.linetable, 0, code.firstlineno, 0
    while index < len(table):
        first = table[index]
        index += 1
        kind, size = first >> 3 & 15, 2 * ((first & 7) + 1)
        change = 0
        if kind in {13, 14}:
            change, index = _signed(table, index)
        elif kind in {11, 12}:
            change = kind - 10
        line += change
        while index < len(table) and not table[index] & 0x80:
            index += 1
        yield start, start + size, None if kind == 15 else line
        start += size


def _signed(table: bytes, index: int) -> tuple[int, int]:
    value = shift = 0
    while index < len(table):
        byte = table[index]
        index += 1
        value |= (byte & 63) << shift
        shift += 6
        if not byte & 64:
            break
    return (-(value >> 1) if value & 1 else value >> 1), index


@lru_cache(maxsize=4096)
def parse_exceptions(table: bytes) -> tuple[Handler, ...]:
    """The rows of an exception table; a broken one gives what can be read."""
    found = []
    index = 0
    while index < len(table):
        numbers = []
        for _ in range(4):
            value = 0
            while index < len(table):
                byte = table[index]
                index += 1
                value = value << 6 | byte & 63
                if not byte & 64:
                    break
            numbers.append(value)
        start, size, target, depth = numbers
        found.append(Handler(2 * start, 2 * (start + size), 2 * target, depth >> 1, bool(depth & 1)))
    return tuple(found)
