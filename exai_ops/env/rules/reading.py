"""What the readers in use make of the documents; each is asked once for each."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

from exai_ops.env.model import Document, Reading
from exai_ops.env.readers import READERS, plain
from exai_ops.env.rules.table import Context

V = TypeVar("V", bound=Hashable)


def readings(context: Context, document: Document) -> Mapping[str, Reading]:
    """What each reader in use makes of a document, by the reader's name."""
    key = ("readings", id(document))
    if key not in context.memo:
        environ = dict(context.environ)
        context.memo[key] = {name: _read(name, document.data, environ) for name in context.readers}
    found: Mapping[str, Reading] = context.memo[key]
    return found


def _read(name: str, data: bytes, environ: dict[str, str]) -> Reading:
    reading = plain.read(data, name) if name in plain.READERS else None
    return reading or READERS[name](data, environ)


def groups(by_reader: Mapping[str, V]) -> dict[V, list[str]]:
    """Readers that see the same, by what they see."""
    found: dict[V, list[str]] = {}
    for reader, seen in by_reader.items():
        found.setdefault(seen, []).append(reader)
    return found
