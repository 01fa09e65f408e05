"""What the rules of meaning look at: the values of a document, as the program reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from exai_ops.env.masking import is_stray
from exai_ops.env.model import Document
from exai_ops.env.rules.reading import readings
from exai_ops.env.rules.table import Context
from exai_ops.env.shown import is_placeholder
from exai_ops.findings import Location

_PROGRAM = "python-dotenv"


class Values(NamedTuple):
    """A document as one reader sees it.

    Attributes:
        values: Without white space around them; empty ones count as unset and are not there.
    """

    document: Document
    values: Mapping[str, str]
    lines: Mapping[str, int]

    def at(self, key: str) -> Location:
        """Where a key gets its value."""
        return Location(self.document.path, self.lines.get(key), key)

    def real(self, key: str) -> str | None:
        """A value that is set, and is no placeholder."""
        value = self.values.get(key)
        return None if value is None or is_placeholder(value) else value


def views(context: Context) -> Iterator[Values]:
    """Each document as python-dotenv reads it, where that is in use, else as the first reader does.

    A file that the reader refuses has no values: the rules of its form say why.
    """
    for document in context.documents():
        yield view(context, document)


def view(context: Context, document: Document) -> Values:
    """One document so."""
    key = ("values", id(document))
    if key not in context.memo:
        by_reader = readings(context, document)
        reading = by_reader.get(_PROGRAM) or next(iter(by_reader.values()))
        values = {name: value.strip() for name, value in reading.values.items() if value.strip()}
        context.memo[key] = Values(document=document, values=values, lines=reading.lines)
    found: Values = context.memo[key]
    return found


def names(document: Document) -> Iterator[str]:
    """The keys of a document, each once; without what is likely a piece of a secret."""
    return (key for key in document.index if not is_stray(key))
