"""How a later compose file, or a service that extends another, changes an earlier one.

Source: the Compose specification, "Merge and override", and what compose-go does where that is silent: lists
of keys with values become one in which the last of a key wins, ``command`` and the like are replaced,
``logging`` merges only under the same driver, ``ports`` and mounts are unique by what they bind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from exai_ops.compose.model import Place, Problem
from exai_ops.compose.shape import to_mapping, to_sequence, to_value
from exai_ops.compose.unique import UNIQUE, name_of
from exai_ops.compose.yaml import Mapping as MappingNode
from exai_ops.compose.yaml import Node, Scalar, Sequence
from exai_ops.errors import CouldNotLook

Path: TypeAlias = tuple[str, ...]

MAX_MERGED: Final = 1_000_000  # entries copied in all: a long chain of ``extends`` grows by its square


class Merger:
    """Merges nodes; keeps what did not fit in ``problems``, with the later node taken."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._copied = 0

    def merge(self, base: Node, over: Node, path: Path) -> Node:
        """``base`` changed by ``over``; ``path`` starts at the top of the file: ``("services", "web")``."""
        if over.tag or base.tag == "!reset":  # a tag is kept: it also holds against earlier files
            return over
        special = _SPECIAL.get(_pattern(path))
        if special is not None:
            return special(self, base, over, path)
        if isinstance(over, Scalar) and over.value is None:
            return base
        if isinstance(base, MappingNode) and isinstance(over, MappingNode):
            return self.mappings(base, over, path)
        if isinstance(base, Sequence) and isinstance(over, Sequence):
            return self.joined(base, over)
        if not isinstance(base, Scalar) or not isinstance(over, Scalar):
            self._shape(base, over, path)
        return over

    def mappings(self, base: MappingNode, over: MappingNode, path: Path) -> MappingNode:
        """All entries of both, those that both have merged."""
        entries, keys = dict(base.entries), dict(base.keys)
        self._spend(len(entries) + len(over.entries), over.place)
        for key, value in over.entries.items():
            entries[key] = self.merge(entries[key], value, (*path, key)) if key in entries else value
            keys[key] = over.keys[key]
        return replace(base, entries=entries, keys=keys)

    def joined(self, base: Sequence, over: Sequence) -> Sequence:
        """The items of both."""
        self._spend(len(base.items) + len(over.items), over.place)
        return replace(base, items=base.items + over.items)

    def _spend(self, entries: int, place: Place) -> None:
        self._copied += entries
        if self._copied > MAX_MERGED:
            raise CouldNotLook(f"{place.file}:{place.line}: merges more than {MAX_MERGED} entries")

    def _shape(self, base: Node, over: Node, path: Path) -> None:
        if isinstance(base, Scalar) and base.value is None:
            return
        message = (
            f"{'.'.join(path)} is {_kind(over)}, and {_kind(base)} at {base.place.file}:{base.place.line}"
        )
        self.problems.append(Problem(kind="shape", message=message, place=over.place))


def _kind(node: Node) -> str:
    kinds: dict[type[Node], str] = {MappingNode: "a mapping", Sequence: "a list"}
    return kinds.get(type(node), "a single value")


# --- the special ones --------------------------------------------------------------------------


def _replace(_merger: Merger, _base: Node, over: Node, _path: Path) -> Node:
    return over


def _lists(merger: Merger, base: Node, over: Node, path: Path) -> Node:
    first, second = to_sequence(base), to_sequence(over)
    key_of = UNIQUE.get(path[-1], name_of)
    removed = {key_of(to_value(item)) for item in second.items if item.tag == "!reset"}
    if removed:
        first = replace(first, items=tuple(i for i in first.items if key_of(to_value(i)) not in removed))
    return merger.joined(first, second)


def _hosts(merger: Merger, base: Node, over: Node, _path: Path) -> Node:
    first, second = to_sequence(base), to_sequence(over)
    known = {to_value(item) for item in first.items if isinstance(item, Scalar)}
    new = (item for item in second.items if not (isinstance(item, Scalar) and item.value in known))
    return merger.joined(first, replace(second, items=tuple(new)))


def _named(default: Mapping[str, Any]) -> Callable[[Merger, Node, Node, Path], Node]:
    def merge(merger: Merger, base: Node, over: Node, path: Path) -> Node:
        return merger.mappings(to_mapping(base, default), to_mapping(over, default), path)

    return merge


def _build(merger: Merger, base: Node, over: Node, path: Path) -> Node:
    return merger.mappings(_as_build(base), _as_build(over), path)


def _as_build(node: Node) -> MappingNode:
    if isinstance(node, MappingNode):
        return node
    return MappingNode(entries={"context": node}, keys={"context": node.place}, place=node.place)


def _logging(merger: Merger, base: Node, over: Node, path: Path) -> Node:
    if not isinstance(base, MappingNode) or not isinstance(over, MappingNode):
        return over
    drivers = [to_value(node) for side in (base, over) if (node := side.get("driver")) is not None]
    return over if len(drivers) == 2 and drivers[0] != drivers[1] else merger.mappings(base, over, path)


_STARTED: Final = {"condition": "service_started", "required": True}

_SPECIAL: Final[dict[Path, Callable[[Merger, Node, Node, Path], Node]]] = {
    **dict.fromkeys(
        (
            *(
                ("services", "*", name)
                for name in ("annotations", "dns", "dns_opt", "dns_search", "env_file")
            ),
            *(
                ("services", "*", name)
                for name in ("environment", "label_file", "labels", "sysctls", "tmpfs")
            ),
            *(("services", "*", "build", name) for name in ("additional_contexts", "args", "labels")),
            ("services", "*", "deploy", "labels"),
            ("networks", "*", "labels"),
            ("volumes", "*", "labels"),
        ),
        _lists,
    ),
    ("services", "*", "build"): _build,
    ("services", "*", "build", "extra_hosts"): _hosts,
    ("services", "*", "extra_hosts"): _hosts,
    ("services", "*", "command"): _replace,
    ("services", "*", "entrypoint"): _replace,
    ("services", "*", "healthcheck", "test"): _replace,
    ("services", "*", "ulimits", "*"): _replace,
    ("services", "*", "depends_on"): _named(_STARTED),
    ("services", "*", "models"): _named({}),
    ("services", "*", "networks"): _named({}),
    ("services", "*", "logging"): _logging,
}


def _pattern(path: Path) -> Path:
    """A path with ``*`` where names are free."""
    return tuple("*" if index == 1 or (index == 3 and path[2] == "ulimits") else part
                 for index, part in enumerate(path))  # fmt: skip
