"""YAML as nodes that know where they stand, in bounded time and memory.

libyaml's events are put together here, not by its own composer: that one recurses in C as deep as the file
nests, and hands out what aliases repeat without counting it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from exai_ops.compose.model import Place, Problem
from exai_ops.compose.scalars import ScalarValue, typed
from exai_ops.errors import CouldNotLook

if TYPE_CHECKING:
    from yaml.events import Event

MAX_NODES: Final = 100_000  # of one file, aliases expanded; Compose has the same limit
MAX_DEPTH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A single value.

    Attributes:
        value: Typed and, once that was done, interpolated.
        written: Text of the YAML scalar, never interpolated.
        source: Characters of the file that it was read from, where they hold a ``$``; else empty.
        tag: ``!reset``, ``!override`` or empty.
        size: Always 1: nodes that it expands to.
    """

    value: ScalarValue
    written: str
    place: Place
    source: str = ""
    tag: str = ""
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list; ``size`` counts itself and all below, aliases expanded, ``depth`` its levels."""

    items: tuple[Node, ...]
    place: Place
    tag: str = ""
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A mapping, merge keys applied.

    Attributes:
        entries: Key as text to its value.
        keys: Key to where the key itself stands.
        size, depth: Nodes of it and all below, and their levels, aliases expanded.
    """

    entries: dict[str, Node]
    keys: dict[str, Place]
    place: Place
    tag: str = ""
    size: int = 1
    depth: int = 1

    def get(self, key: str) -> Node | None:
        """The value of a key, or None."""
        return self.entries.get(key)


Node: TypeAlias = Scalar | Sequence | Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """The documents of a file, and what is wrong in it without making it unreadable."""

    documents: tuple[Node, ...]
    problems: tuple[Problem, ...] = ()


def parse(text: str, file: str) -> Parsed:
    """The documents of a YAML text; ``file`` is how it is named in places.

    Raises CouldNotLook with ``file:line`` when it is no YAML, nests too deep or expands to too much.
    """
    return _Composer(text, file).run()


# --- from events to nodes ----------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """A collection that has not ended."""

    place: Place
    tag: str
    anchor: str | None
    sequence: bool
    children: list[Node] = field(default_factory=list)
    size: int = 1
    depth: int = 1


class _Composer:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node | None] = {}  # None while the anchored collection is open
        self.documents: list[Node] = []
        self.problems: list[Problem] = []
        self.total = 0

    def run(self) -> Parsed:
        for event in self._events():
            _HANDLERS.get(type(event).__name__, _ignore)(self, event)
        return Parsed(documents=tuple(self.documents), problems=tuple(self.problems))

    def _events(self) -> Iterator[Event]:
        import yaml

        loader = getattr(yaml, "CLoader", yaml.Loader)
        try:
            yield from yaml.parse(self.text, Loader=loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._refuse(error.problem or "is no YAML", self._place(mark) if mark else None) from None
        except (yaml.YAMLError, ValueError) as error:  # ValueError: a NUL or lone surrogate in the text
            raise self._refuse(_first_line(error)) from None

    def _refuse(self, reason: str, place: Place | None = None) -> CouldNotLook:
        line = f":{place.line}" if place else ""
        return CouldNotLook(f"{self.file}{line}: {_first_line(reason)}")

    def _place(self, mark: Any) -> Place:
        return Place(file=self.file, line=mark.line + 1, column=mark.column + 1)

    def _spend(self, size: int, place: Place) -> None:
        self.total += size
        if self.total > MAX_NODES:
            raise self._refuse(f"has more than {MAX_NODES} values once its aliases are expanded", place)

    def _check_depth(self, depth: int, place: Place) -> None:
        if depth > MAX_DEPTH:
            raise self._refuse(f"nests more than {MAX_DEPTH} levels deep", place)

    # One method per kind of event.

    def start_document(self, _event: Any) -> None:
        self.anchors = {}

    def start(self, event: Any) -> None:
        place = self._place(event.start_mark)
        self._check_depth(len(self.stack) + 1, place)
        self._spend(1, place)
        if event.anchor:
            self.anchors[event.anchor] = None
        sequence = type(event).__name__ == "SequenceStartEvent"
        self.stack.append(_Open(place, _tag(event.tag), event.anchor, sequence))

    def end(self, _event: Any) -> None:
        done = self.stack.pop()
        node = self._sequence(done) if done.sequence else self._mapping(done)
        self._keep(node, done.anchor)

    def scalar(self, event: Any) -> None:
        place = self._place(event.start_mark)
        self._spend(1, place)
        source = ""
        if "$" in event.value:
            source = self.text[event.start_mark.index : event.end_mark.index]
        node = Scalar(
            value=typed(event.value, event.tag, plain=not event.style),
            written=event.value,
            place=place,
            source=source,
            tag=_tag(event.tag),
        )
        self._keep(node, event.anchor)

    def alias(self, event: Any) -> None:
        place = self._place(event.start_mark)
        node = self.anchors.get(event.anchor)
        if node is None:
            if event.anchor in self.anchors:
                raise self._refuse(f"the anchor {event.anchor!r} contains itself", place)
            why = "has an alias (*...) to an anchor that is not defined; quote a value that begins with *"
            raise self._refuse(why, place)
        self._check_depth(len(self.stack) + node.depth, place)
        self._spend(node.size, place)
        self._keep(node, None)

    def _keep(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self.anchors[anchor] = node
        if self.stack:
            parent = self.stack[-1]
            parent.children.append(node)
            parent.size += node.size
            parent.depth = max(parent.depth, node.depth + 1)
        else:
            self.documents.append(node)

    def _sequence(self, done: _Open) -> Sequence:
        items = tuple(done.children)
        return Sequence(items=items, place=done.place, tag=done.tag, size=done.size, depth=done.depth)

    def _mapping(self, done: _Open) -> Mapping:
        entries: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        merged: list[Mapping] = []
        children = iter(done.children)
        for key, value in zip(children, children, strict=True):
            if isinstance(key, Scalar) and key.value == "<<":
                merged.extend(self._merge_sources(value))
            else:
                self._enter(key, value, entries, keys)
        for source in merged:  # what stands here wins, then the first that has the key
            entries.update({key: node for key, node in source.entries.items() if key not in entries})
            keys.update({key: place for key, place in source.keys.items() if key not in keys})
        return Mapping(
            entries=entries, keys=keys, place=done.place, tag=done.tag, size=done.size, depth=done.depth
        )

    def _enter(self, key: Node, value: Node, entries: dict[str, Node], keys: dict[str, Place]) -> None:
        name = self._key(key)
        if name in entries:
            message = f"the key {name!r} stands already at line {keys[name].line}"
            self.problems.append(Problem(kind="duplicate", message=message, place=key.place))
        entries[name], keys[name] = value, key.place

    def _key(self, key: Node) -> str:
        if not isinstance(key, Scalar):
            raise self._refuse("a key must be a single value", key.place)
        return key.written

    def _merge_sources(self, value: Node) -> list[Mapping]:
        sources = value.items if isinstance(value, Sequence) else (value,)
        for source in sources:
            if not isinstance(source, Mapping):
                raise self._refuse("<< takes a mapping or a list of mappings", source.place)
        return [source for source in sources if isinstance(source, Mapping)]


def _ignore(_composer: _Composer, _event: Any) -> None: ...


_HANDLERS: Final = {
    "DocumentStartEvent": _Composer.start_document,
    "MappingStartEvent": _Composer.start,
    "SequenceStartEvent": _Composer.start,
    "MappingEndEvent": _Composer.end,
    "SequenceEndEvent": _Composer.end,
    "ScalarEvent": _Composer.scalar,
    "AliasEvent": _Composer.alias,
}


def _tag(tag: str | None) -> str:
    return tag if tag in ("!reset", "!override") else ""


def _first_line(problem: object) -> str:
    return str(problem).strip().partition("\n")[0] or "is no YAML"
