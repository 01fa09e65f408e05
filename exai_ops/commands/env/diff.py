"""``exai env diff``: compare two environment files by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from exai_ops.errors import CouldNotLook, UsageError
from exai_ops.settings import shell

if TYPE_CHECKING:
    from exai_ops.env.diff import Difference
    from exai_ops.env.masking import Mask
    from exai_ops.env.model import Document

_FORMATS = ("text", "json")


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="The file to start from.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The file to compare with it.")],
    reader: Annotated[
        str | None, typer.Option(metavar="NAME", help="Compare what this reader sees, not what is written.")
    ] = None,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",  # noqa: A002
) -> None:
    """Say which keys B adds, removes, changes, moves, switches on or off; exit 1 when there are any."""
    from exai_ops.env.diff import as_json, as_text, compare
    from exai_ops.env.load import load_document
    from exai_ops.env.masking import Mask

    if format not in _FORMATS:
        raise UsageError(f"--format: {format!r} is not known", hint=f"one of {', '.join(_FORMATS)}")
    one, two = load_document(first), load_document(second)
    mask = Mask(one, two, environ=shell())
    found = _as_read(reader, one, two, mask) if reader else compare(one, two, mask)
    print(as_text(found) if format == "text" else as_json(one.path, two.path, found), end="")
    raise typer.Exit(1 if found else 0)


def _as_read(reader: str, one: Document, two: Document, mask: Mask) -> list[Difference]:
    """The differences to a reader. Raises UsageError for an unknown one, CouldNotLook when it refuses."""
    from exai_ops.env.diff import compare_readings
    from exai_ops.env.readers import READERS

    if reader not in READERS:
        raise UsageError(f"no reader is called {reader}", hint=f"one of {', '.join(READERS)}")
    readings = [READERS[reader](document.data, shell()) for document in (one, two)]
    for document, reading in zip((one, two), readings, strict=True):
        if reading.refused is not None:
            raise CouldNotLook(
                f"{document.path}: {reader} refuses the file: {mask.comment(reading.refused)}",
                hint="exai env check says how to mend it",
            )
    return compare_readings(readings[0], readings[1], mask)
