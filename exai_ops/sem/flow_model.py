"""What is said of a code object: events, the nodes that they are in, and the answers about a semaphore.

A path says how the code came by a value: ``("local:self", "attr:pool", "item:'x'")``, with ``global:``,
``free:``, ``import:``, ``const:`` and ``code:N`` (a function made of the code's constant N) for beginnings
and ``attr:``, ``item:``, ``call`` (its result, awaited or not), ``each`` (a loop's variable), ``entered``
(what ``as`` names) for steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

Path = tuple[str, ...]
Kind = Literal[
    "acquire", "release", "enter", "exit", "call", "await", "yield", "return", "store_attr", "store_item",
    "store_global", "pass", "release_given", "enter_given",
]  # fmt: skip
Effect = Literal["acquire", "release"] | frozenset[int]

RETURN: Final = -1
RAISE: Final = -2
MANY: Final = 8
"""Counts from here on are not told apart: they have no bound."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the code does.

    Attributes:
        offset: Of the instruction that says so; of an awaited call, the call's.
        kind: ``acquire`` and ``release`` are calls of methods of such names, ``enter`` and ``exit`` are of
            ``with`` blocks; ``pass`` hands a value to a call, ``release_given`` a bound release, to a call,
            in a store, return or yield, ``enter_given`` a context to an exit stack.
        path: The semaphore, context, value handed over, target of a store or function called; of ``await``,
            ``return`` and ``yield`` the value.
        also: Other paths to the same, or to what it may be besides; a local's own name when it stands for
            another path.
        args: Paths of a call's arguments, those with a name last; what is stored, returned or yielded.
        keywords: Names of the last ones of ``args``.
        callees: Paths of the function, for all that a call does.
        may: An acquire that can come back without a permit.
    """

    offset: int
    kind: Kind
    path: Path
    also: tuple[Path, ...] = ()
    args: tuple[Path, ...] = ()
    keywords: tuple[str, ...] = ()
    callees: tuple[Path, ...] = ()
    may: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """All paths that may be meant."""
        return (self.path, *self.also)


@dataclass(frozen=True, slots=True)
class Closure:
    """A function made here: of the code's constant ``const`` (-1 when that is not known).

    Attributes:
        captured: Names of the cells that it closes over.
        defaults: Paths of its defaults, those of keyword arguments too.
    """

    offset: int
    const: int
    captured: tuple[str, ...]
    defaults: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """Straight code, an event or what may raise at its end.

    Attributes:
        start: In bytes, up to ``end``; -1 for a way between two instructions.
        events: What comes about when it ends well, numbers of events.
        ways: Nodes that may follow, or RETURN, or RAISE.
        handler: Node that an exception leads to, or RAISE; None when there is none to reckon with.
        parts: Events that fail when it raises.
    """

    start: int
    end: int
    events: tuple[int, ...]
    ways: tuple[int, ...]
    handler: int | None
    parts: tuple[int, ...]


@dataclass(frozen=True)
class Match:
    """What may denote the semaphore in question.

    Attributes:
        names: Last names of paths, plain (``_slots``) or with their kind (``attr:_slots``); keys and loops
            after it do not count (``_slots`` is ``self._slots[k]`` too); ``slot()`` is what a call of
            ``slot`` gives. None for any.
        effects: (last name of a function, what calling it does), ``acquire``, ``release`` or possible sums.
    """

    names: frozenset[str] | None
    effects: tuple[tuple[str, Effect], ...] = ()

    @classmethod
    def of(cls, names: Iterable[str] | None, effects: Mapping[str, Effect] | None = None) -> Match:
        """From plain collections."""
        return cls(
            None if names is None else frozenset(names), tuple(sorted((effects or {}).items(), key=str))
        )

    def path(self, paths: Iterable[Path]) -> bool:
        """Whether one of the paths may lead to it."""
        return self.names is None or any(not self.names.isdisjoint(last_names(path)) for path in paths)

    def effect(self, event: Event) -> Effect | None:
        """What a call does by its function's name."""
        if self.effects and event.kind in {"acquire", "release", "call"}:
            names = {name for path in event.callees for name in last_names(path)}
            return next((effect for name, effect in self.effects if name in names), None)
        return None


@lru_cache(4096)
def last_names(path: Path) -> frozenset[str]:
    """The last name of a path, plain and with its kind."""
    called = ""
    for part in reversed(path):
        if part == "call":
            called += "()"
        elif ":" in part and not part.startswith("item:"):
            return frozenset({part + called, part.partition(":")[2] + called})
    return frozenset()


@dataclass(frozen=True, slots=True)
class Held:
    """Permits that a frame may have at an offset, by what it did since its beginning.

    Attributes:
        least: By calls of acquire and release, on the way with fewest.
        most: On the way with most; None when there is no bound.
        with_least: By ``with`` blocks that it is in.
        with_most: None when there is no bound.
        given: Releases that it may have handed to someone else.
    """

    least: int
    most: int | None
    with_least: int
    with_most: int | None
    given: int | None


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a frame can still do from an offset. ``with`` blocks are in ``events`` only.

    Attributes:
        events: Reachable ones about the semaphore, in order of offsets.
        least: Permits that it gives back, beyond those that it takes first, on the way with fewest.
        most: On the way with most; None when there is no bound (a release in a loop).
        least_returning: Like ``least`` for ways that end by return; None when none does.
    """

    events: tuple[Event, ...]
    least: int
    most: int | None
    least_returning: int | None

    @property
    def owed(self) -> bool:
        """Whether it may give back what it need not take first."""
        return self.most != 0

    @property
    def must(self) -> bool:
        """Whether it gives one back on every way, by an exception too."""
        return self.least > 0

    @property
    def many(self) -> bool:
        """Whether there is no bound to what it gives back."""
        return self.most is None

    def some(self, *kinds: Kind) -> bool:
        """Whether there are events of these kinds."""
        return any(event.kind in kinds for event in self.events)


@dataclass(frozen=True, slots=True)
class Net:
    """What a whole call does to the count: sums that may come out (+1 took one), None when there is no bound.

    Empty when no way ends so.
    """

    returns: frozenset[int] | None
    raises: frozenset[int] | None
