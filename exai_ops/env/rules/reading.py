"""What the readers in use make of the documents; each is asked once for each."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, TypeVar

from exai_ops.env.model import Document, Reading
from exai_ops.env.readers import READERS, plain
from exai_ops.env.rules.table import Context
from exai_ops.env.shown import MASK, said, shown

if TYPE_CHECKING:
    from exai_ops.env.masking import Mask

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


def seen(context: Context, key: str, value: str) -> str:
    """A value as a finding may say it: ``***`` where it is a secret, or holds one of another key."""
    text = shown(key, value)
    if text == MASK or len(value) < 4 or value.lower() in ("true", "false", "none", "null"):
        return text
    return MASK if mask_of(context).holds(value) else text


def worded(context: Context, text: str) -> str:
    """A comment or a title as a finding may say it: without what looks like a secret, or is one."""
    return said(mask_of(context).without(text))


def mask_of(context: Context) -> Mask:
    """What hides the secrets of the documents and of the compose project."""
    from exai_ops.env.masking import Mask

    if "mask" not in context.memo:
        mask = Mask(*context.documents())
        for service in context.project.services.values() if context.project else ():
            for variable in service.environment:
                mask.learn(variable.key, variable.value or "")
                mask.learn(variable.key, variable.written or "")
        context.memo["mask"] = mask
    found: Mask = context.memo["mask"]
    return found


def groups(by_reader: Mapping[str, V]) -> dict[V, list[str]]:
    """Readers that see the same, by what they see."""
    found: dict[V, list[str]] = {}
    for reader, seen in by_reader.items():
        found.setdefault(seen, []).append(reader)
    return found
