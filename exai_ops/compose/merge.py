"""How a later compose file, or a service that extends another, changes an earlier one.

Source: the Compose specification, "Merge and override", and what compose-go does where that is silent: lists
of keys with values become one in which the last of a key wins, ``command`` and the like are replaced,
``logging`` merges only under the same driver, ``ports`` and mounts are unique by what they bind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from exai_ops.compose.model import Place, Problem
from exai_ops.compose.ports import key_of as port_key
from exai_ops.compose.scalars import as_text
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
    key_of = _UNIQUE.get(path[-1], _name)
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


# --- changes of shape --------------------------------------------------------------------------


def to_sequence(node: Node) -> Sequence:
    """A mapping as ``key=value`` items, a single value as a list of one."""
    if isinstance(node, Sequence):
        return node
    if isinstance(node, Scalar):
        return Sequence(items=() if node.value is None else (node,), place=node.place)
    items = [pair for key, value in node.entries.items() for pair in _pairs(key, value, node.keys[key])]
    return Sequence(items=tuple(items), place=node.place)


def _pairs(key: str, value: Node, place: Place) -> Iterable[Scalar]:
    if isinstance(value, Sequence):
        for item in value.items:
            yield from _pairs(key, item, item.place)
        return
    bare = not isinstance(value, Scalar) or value.value is None
    text = key if bare else f"{key}={as_text(value.value)}"  # type: ignore[union-attr]
    written = key if bare else f"{key}={value.written}"  # type: ignore[union-attr]
    yield Scalar(value=text, written=written, place=place, tag=value.tag)


def to_mapping(node: Node, default: Mapping[str, Any]) -> MappingNode:
    """A list of names as a mapping from each to ``default``, or to nothing when that is empty."""
    if isinstance(node, MappingNode):
        return node
    entries: dict[str, Node] = {}
    keys: dict[str, Place] = {}
    for item in node.items if isinstance(node, Sequence) else ():
        if isinstance(item, Scalar):
            name = as_text(item.value)
            keys[name] = item.place
            entries[name] = _from_value(default, item.place) if default else _scalar(None, item.place)
    return MappingNode(entries=entries, keys=keys, place=node.place)


def _from_value(values: Mapping[str, Any], place: Place) -> MappingNode:
    entries: dict[str, Node] = {key: _scalar(value, place) for key, value in values.items()}
    return MappingNode(entries=entries, keys=dict.fromkeys(entries, place), place=place)


def _scalar(value: Any, place: Place) -> Scalar:
    return Scalar(value=value, written=as_text(value), place=place)


def clean(node: Node) -> Node:
    """A node without what ``!reset`` removes, and without tags."""
    if isinstance(node, MappingNode):
        kept = {key: clean(value) for key, value in node.entries.items() if value.tag != "!reset"}
        return replace(node, entries=kept, keys={key: node.keys[key] for key in kept}, tag="")
    if isinstance(node, Sequence):
        return replace(node, items=tuple(clean(i) for i in node.items if i.tag != "!reset"), tag="")
    return replace(node, tag="") if node.tag else node


def to_value(node: Node, *, written: bool = False) -> Any:
    """A node as mappings, lists and single values; ``written`` gives them as before interpolation."""
    if isinstance(node, MappingNode):
        return {key: to_value(value, written=written) for key, value in node.entries.items()}
    if isinstance(node, Sequence):
        return [to_value(item, written=written) for item in node.items]
    return node.written if written and isinstance(node.value, str) else node.value


# --- lists whose items are unique --------------------------------------------------------------


def unique(service: MappingNode) -> MappingNode:
    """A service whose lists hold each key, port, mount or path once: the last, where the first stood."""
    service = _unique_lists(service, _UNIQUE)
    entries = dict(service.entries)
    for name in ("build", "deploy"):
        node = entries.get(name)
        if isinstance(node, MappingNode):
            entries[name] = _unique_lists(node, _UNIQUE_BELOW)
    return replace(service, entries=entries)


def _unique_lists(node: MappingNode, keys: Mapping[str, Callable[[Any], Hashable]]) -> MappingNode:
    entries = dict(node.entries)
    for name, key_of in keys.items():
        items = entries.get(name)
        if isinstance(items, Sequence):
            entries[name] = replace(items, items=_unique(items.items, key_of))
    return replace(node, entries=entries)


def _unique(items: Iterable[Node], key_of: Callable[[Any], Hashable]) -> tuple[Node, ...]:
    kept: dict[Hashable, Node] = {}
    for item in items:
        kept[key_of(to_value(item))] = item
    return tuple(kept.values())


def _name(value: Any) -> Hashable:
    return str(value).partition("=")[0]


def _env_file(value: Any) -> Hashable:
    return str(value.get("path")) if isinstance(value, dict) else str(value)


def _mount(prefix: str) -> Callable[[Any], Hashable]:
    def key_of(value: Any) -> Hashable:
        if isinstance(value, dict):
            return str(value.get("target") or f"{prefix}/{value.get('source')}")
        return f"{prefix}/{value}"

    return key_of


def _volume(value: Any) -> Hashable:
    """Where a volume or device is mounted; ``c:`` before a slash is a Windows drive."""
    if isinstance(value, dict):
        return str(value.get("target"))
    parts = re.sub(r"^[A-Za-z]:(?=[\\/])", "", str(value)).split(":")
    return parts[1] if len(parts) > 1 else parts[0]


_UNIQUE: Final[Mapping[str, Callable[[Any], Hashable]]] = {
    **dict.fromkeys(
        ("annotations", "cap_add", "cap_drop", "dns", "dns_opt", "dns_search", "environment", "labels"), _name
    ),
    **dict.fromkeys(("links", "profiles", "sysctls", "tmpfs"), _name),
    **dict.fromkeys(("volumes", "devices"), _volume),
    "configs": _mount(""),
    "env_file": _env_file,
    "expose": str,
    "ports": port_key,
    "secrets": _mount("/run/secrets"),
}
_UNIQUE_BELOW: Final = dict.fromkeys(("additional_contexts", "args", "labels", "platforms", "tags"), _name)
