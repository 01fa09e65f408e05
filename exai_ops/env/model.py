"""A dotenv file as values: every byte comes back from ``Document.text``.

The grammar is the one that people write and Compose reads: assignments, with quotes that may span lines,
comments, blank lines. What a particular reader makes of the same bytes is in ``exai_ops.env.readers``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

Quote: TypeAlias = Literal["", '"', "'", "`"]
BARE: Final = "is a word without =, not shown since it may be the rest of the value above"
"""The problem of a line that may be a key without a value, and may be a piece of a secret."""


class Blank(NamedTuple):
    """White space alone, its line end included."""

    raw: str
    line: int


class Comment(NamedTuple):
    """A line that is a comment.

    Attributes:
        text: Without ``#`` and the space around it.
        heading: Whether it names a section (a banner, or a title between rules).
    """

    raw: str
    line: int
    text: str
    heading: bool = False


class Unparsable(NamedTuple):
    """A line that is no assignment, one whose quote never ends, or a word that may be a piece of a secret."""

    raw: str
    line: int
    problem: str


class Assignment(NamedTuple):
    """A key and its value, as written.

    Attributes:
        raw: Every character of it, line ends included.
        line, end_line: From 1; they differ for a value that spans lines.
        column: Of the key, from 1, in characters.
        separator: ``=`` or ``:`` with the white space around it; empty for a bare key.
        written: The value as written, quotes included, without inline comment and the space before it.
        value: ``written`` without its quotes, nothing unescaped or expanded; with them where text stands
            behind the closing one, as in ``'x'y``: it is all there is to hide.
        inline: The inline comment from its ``#`` on, or None.
        inline_column: Of that ``#``, from 1, or None.
        section: Text of the heading above it, or None.
        above: Texts of the comment lines directly above it, in order.

    """

    raw: str
    line: int
    end_line: int
    column: int
    key: str
    export: bool
    separator: str
    written: str
    value: str
    quote: Quote
    inline: str | None = None
    inline_column: int | None = None
    section: str | None = None
    above: tuple[str, ...] = ()


Node: TypeAlias = Blank | Comment | Unparsable | Assignment


class Document:
    """A file.

    Attributes:
        path: As it is shown in findings.
        nodes: In order; the join of their ``raw``, after the byte order mark, is the file.
        index: The assignments of each key, in order of their lines.
        bom: Whether it begins with a byte order mark.
        newline: The line end used most, ``\\n`` or ``\\r\\n``.
        encoding_error: Line of the first byte that is no UTF-8, or None; such bytes are kept by
            surrogate escapes.
    """

    __slots__ = ("_assignments", "bom", "encoding_error", "index", "newline", "nodes", "path")

    def __init__(
        self,
        *,
        path: str,
        nodes: tuple[Node, ...],
        index: dict[str, tuple[Assignment, ...]],
        bom: bool = False,
        newline: str = "\n",
        encoding_error: int | None = None,
    ) -> None:
        self.path = path
        self.nodes = nodes
        self.index = index
        self.bom = bom
        self.newline = newline
        self.encoding_error = encoding_error
        self._assignments = tuple(node for node in nodes if isinstance(node, Assignment))

    @property
    def text(self) -> str:
        """The file's text, byte order mark included."""
        return ("\ufeff" if self.bom else "") + "".join(node.raw for node in self.nodes)

    @property
    def data(self) -> bytes:
        """The file's bytes."""
        return self.text.encode("utf-8", "surrogateescape")

    @property
    def assignments(self) -> Iterator[Assignment]:
        """Every assignment, in order."""
        return iter(self._assignments)

    def all_of(self, key: str) -> tuple[Assignment, ...]:
        """Every assignment of a key, in order."""
        return self.index.get(key, ())

    def last_of(self, key: str) -> Assignment | None:
        """The assignment that wins for every reader that takes the last, or None."""
        return self.index[key][-1] if key in self.index else None


# --- what readers give -------------------------------------------------------------------------


class ReadProblem(NamedTuple):
    """Something that a reader stumbles over at a line (from 1), without refusing the file."""

    line: int
    message: str


class Reading(NamedTuple):
    """What one reader makes of a file.

    Attributes:
        values: Key to value, in the order of the file; a key that the reader leaves unset is missing.
        lines: Line (from 1) of the assignment that gave each value.
        problems: What it warned of or dropped silently, in order.
        refused: Why it refuses the whole file, or None; ``values`` is then empty.
        needs: Names of variables that it looked up elsewhere and did not find.
    """

    reader: str
    values: dict[str, str]
    lines: dict[str, int]
    problems: tuple[ReadProblem, ...] = ()
    refused: str | None = None
    needs: tuple[str, ...] = ()
