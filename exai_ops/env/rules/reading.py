"""What the readers in use make of the documents; each is asked once for each."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

from exai_ops.env.model import Document, Reading
from exai_ops.env.readers import READERS
from exai_ops.env.rules.table import Context

V = TypeVar("V", bound=Hashable)


def readings(context: Context, document: Document) -> Mapping[str, Reading]:
    """What each reader in use makes of a document, by the reader's name."""
    key = ("readings", id(document))
    if key not in context.memo:
        environ = dict(context.environ)
        context.memo[key] = {name: READERS[name](document.data, environ) for name in context.readers}
    found: Mapping[str, Reading] = context.memo[key]
    return found


def groups(by_reader: Mapping[str, V]) -> dict[V, list[str]]:
    """Readers that see the same, by what they see."""
    found: dict[V, list[str]] = {}
    for reader, seen in by_reader.items():
        found.setdefault(seen, []).append(reader)
    return found
