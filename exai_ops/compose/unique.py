"""Lists whose items are unique by what they name or bind, as the Compose specification has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from exai_ops.compose.ports import key_of as port_key
from exai_ops.compose.shape import to_value
from exai_ops.compose.yaml import Mapping as MappingNode
from exai_ops.compose.yaml import Node, Sequence


def unique(service: MappingNode) -> MappingNode:
    """A service whose lists hold each key, port, mount or path once: the last, where the first stood."""
    service = _unique_lists(service, UNIQUE)
    entries = dict(service.entries)
    for name in ("build", "deploy"):
        node = entries.get(name)
        if isinstance(node, MappingNode):
            entries[name] = _unique_lists(node, _BELOW)
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


def name_of(value: Any) -> Hashable:
    """The key of ``key=value``."""
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


UNIQUE: Final[Mapping[str, Callable[[Any], Hashable]]] = {
    **dict.fromkeys(
        ("annotations", "cap_add", "cap_drop", "dns", "dns_opt", "dns_search", "environment", "labels"),
        name_of,
    ),
    **dict.fromkeys(("links", "profiles", "sysctls", "tmpfs"), name_of),
    **dict.fromkeys(("volumes", "devices"), _volume),
    "configs": _mount(""),
    "env_file": _env_file,
    "expose": str,
    "ports": port_key,
    "secrets": _mount("/run/secrets"),
}
_BELOW: Final = dict.fromkeys(("additional_contexts", "args", "labels", "platforms", "tags"), name_of)
