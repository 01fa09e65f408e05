"""How often a piece of code that gives permits back can still do so: by what it takes them out of.

Code that releases a permit per item of a queue, per entry of a table, or until a number is down to zero can
do so as often as there are items: they carry the permits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from exai_ops.sem.codes import CodeInfo
from exai_ops.sem.flow import Flow
from exai_ops.sem.flow_model import Event, Path
from exai_ops.sem.objects import Objects
from exai_ops.sem.passive.resolve import Resolver, Scope

_TAKES: Final = frozenset(
    {"pop", "popleft", "popitem", "get", "get_nowait", "remove", "discard", "clear", "heappop", "pop_nowait"}
)
_QUEUES: Final = ("_queue", "queue")
_MOST: Final = 100_000
_MINUS: Final = frozenset({10, 23})  # of BINARY_OP: a - b, a -= b
_EMPTY: Final = ((("seq",),), (("unknown",),))  # how a new list or dict is said
_NEAR: Final = 24  # bytes of code between a subtraction and where its outcome is stored


class Token(NamedTuple):
    """Something that stands for permits.

    Attributes:
        owner: The container, or the object whose number it is.
        what: As the code names it: ``self._out``.
        number: How many.
        items: Addresses in the container.
        by: Name of the function that takes from it and gives a permit back.
    """

    owner: int
    what: str
    number: int
    items: tuple[int, ...] = ()
    by: str = ""


class Tokens:
    """Counts them for code with given names."""

    def __init__(self, objects: Objects, resolver: Resolver) -> None:
        self._objects = objects
        self._resolver = resolver

    def of(self, scope: Scope, info: CodeInfo, flow: Flow) -> list[Token]:
        """What the code takes items from, each once."""
        found: dict[int, Token] = {}
        deletes = self._deletes(info)
        for event in flow.events:
            for path in self._taken_from(event, deletes=deletes):
                for value in self._resolver.values(scope, path):
                    token = self._count(value.address, _said(path))
                    if token is not None:
                        found.setdefault(token.owner, token)
            for token in (*self._numbers(scope, info, event), *self._replaced(scope, event)):
                found.setdefault(token.owner ^ hash(token.what), token)
        return [token._replace(by=info.name) for token in found.values()]

    def _deletes(self, info: CodeInfo) -> bool:
        names = self._objects.layout.opcodes.names
        return any(names[code] == "DELETE_SUBSCR" for code in info.bytecode[::2])

    def _taken_from(self, event: Event, *, deletes: bool) -> Iterator[Path]:
        """Paths of containers that an event takes something from."""
        for callee in event.callees:
            name = callee[-1].partition(":")[2]
            if name in _TAKES and len(callee) > 1:
                yield callee[:-1]
            if name in _TAKES and event.args:
                yield event.args[0]
        if deletes:
            yield from (path[:-1] for path in event.paths if len(path) > 1 and path[-1].startswith("item:"))

    def _numbers(self, scope: Scope, info: CodeInfo, event: Event) -> Iterator[Token]:
        """Numbers that an event takes from, or begins again: ``self._parked -= 1``, ``self._parked = 0``."""
        if event.kind not in {"store_attr", "store_item"}:
            return
        if event.args[:1] != (("const:0",),) and not self._subtracts(info, event.offset):
            return
        for path in event.paths:
            for value in self._resolver.values(scope, path):
                number = self._objects.integer(value.address)
                if number is not None and 0 < number < _MOST and not self._is_bool(value.address):
                    holder = self._resolver.values(scope, path[:-1])
                    yield Token(holder[0].address if holder else 0, _said(path), number)

    def _subtracts(self, info: CodeInfo, offset: int) -> bool:
        """Whether what is stored at an offset is the outcome of a subtraction."""
        names, code = self._objects.layout.opcodes.names, info.bytecode
        for at in range(offset - 2, max(offset - _NEAR, -1), -2):
            name = names[code[at]]
            if name in {"INPLACE_SUBTRACT", "BINARY_SUBTRACT"}:
                return True
            if name == "BINARY_OP":
                return code[at + 1] in _MINUS
            if name.startswith(("BINARY_", "INPLACE_", "CALL", "STORE_")) and name != "BINARY_SUBSCR":
                return False
        return False

    def _replaced(self, scope: Scope, event: Event) -> Iterator[Token]:
        """Containers that an event puts another in place of: ``batch, self.events = self.events, []``."""
        if event.kind != "store_attr" or event.args[:1] not in _EMPTY:
            return
        for path in event.paths:
            for value in self._resolver.values(scope, path):
                if self._objects.kind(value.address) in {"list", "set", "deque", "dict"}:
                    token = self._count(value.address, _said(path))
                    if token is not None:
                        yield token

    def _is_bool(self, address: int) -> bool:
        return self._objects.type_name(self._objects.type_of(address)) == "bool"

    def _count(self, address: int, what: str) -> Token | None:
        """The items of a container, or of the queue that a queue object has."""
        objects = self._objects
        kind = objects.kind(address)
        if kind == "dict":
            return self._count_dict(address, what)
        if kind in {"list", "set", "deque"}:
            items = objects.sequence(address)[:_MOST]
            return Token(address, what, len(items), tuple(items))
        if kind == "instance":
            held = self._resolver.attributes(address)
            for name in _QUEUES:
                if name in held and objects.kind(held[name]) in {"list", "deque"}:
                    return self._count(held[name], what)
        return None

    def _count_dict(self, address: int, what: str) -> Token:
        """Entries; numbers in it count as what they say, containers as what is in them."""
        objects = self._objects
        pairs = objects.dict_items(address)[:_MOST]
        total = 0
        items: list[int] = []
        for key, value in pairs:
            number = objects.integer(value)
            inner = objects.sequence(value) if objects.kind(value) in {"list", "set", "deque"} else None
            if number is not None and not self._is_bool(value) and 0 <= number < _MOST:
                total += number
            elif inner is not None:
                total += len(inner)
                items += inner
            else:
                total += 1
                items += (key, value)
        return Token(address, what, total, tuple(items))


def _said(path: Path) -> str:
    return ".".join(part.partition(":")[2] or part for part in path)
