"""Nodes in another shape: lists as mappings and the reverse, without tags, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from exai_ops.compose.model import Place
from exai_ops.compose.scalars import as_text
from exai_ops.compose.yaml import Mapping as MappingNode
from exai_ops.compose.yaml import Node, Scalar, Sequence


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
    """A list of names as a mapping from each to ``default``, or to nothing when that is empty.

    Values of ``default`` have no ``written`` text: nobody wrote them.
    """
    if isinstance(node, MappingNode):
        return node
    entries: dict[str, Node] = {}
    keys: dict[str, Place] = {}
    for item in node.items if isinstance(node, Sequence) else ():
        if isinstance(item, Scalar):
            name = as_text(item.value)
            keys[name] = item.place
            entries[name] = (
                _from_value(default, item.place)
                if default
                else Scalar(value=None, written="", place=item.place)
            )
    return MappingNode(entries=entries, keys=keys, place=node.place)


def _from_value(values: Mapping[str, Any], place: Place) -> MappingNode:
    entries: dict[str, Node] = {
        key: Scalar(value=value, written="", place=place) for key, value in values.items()
    }
    return MappingNode(entries=entries, keys=dict.fromkeys(entries, place), place=place)


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
