"""From bytes to a ``Document``, without losing one.

The grammar: ``export`` and white space before a key, ``=`` or ``:`` after it, a value that is quoted
(and may then span lines) or runs to the end of its line, an inline comment after white space. A line
that does not fit is ``Unparsable``, and so is the first line of a quote that never ends; what follows is
parsed on. One pass, linear in the size of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from exai_ops.env.model import Assignment, Blank, Comment, Document, Node, Quote, Unparsable

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_KEY: Final = re.compile(r"(?P<indent>[ \t]*)(?P<export>export[ \t]+)?(?P<key>[^\s=:#'\"`][^\s=:'\"`]*)")
_SEPARATOR: Final = re.compile(r"[ \t]*[=:][ \t]*")
_UNQUOTED: Final = re.compile(r"(?:^|(?<=[ \t]))#")
_CLOSING: Final = {quote: re.compile(rf"\\.|{quote}", re.DOTALL) for quote in "\"'`"}
_RULE_MARKS: Final = " \t#=*~_-"
_THREE: Final = re.compile(r"[#=*~_-]{3}")
_BANNER: Final = "=~*#-"
_TWO: Final = tuple(one + two for one in _BANNER for two in _BANNER)


def parse(data: bytes, path: str = ".env") -> Document:
    """The document of a file's bytes; ``parse(data).data == data`` for any bytes."""
    text = data.decode("utf-8", "surrogateescape")
    bom = text.startswith("\ufeff")
    body = text[1:] if bom else text
    nodes = tuple(_with_headings(_nodes(body)))
    if any(map(_is_doubtful, nodes)):
        from exai_ops.env.strays import without_strays

        nodes = tuple(without_strays(nodes))
    found: dict[str, list[Assignment]] = {}
    for node in nodes:
        if isinstance(node, Assignment):
            found.setdefault(node.key, []).append(node)
    return Document(
        path=path,
        nodes=nodes,
        bom=bom,
        newline="\r\n" if body.count("\r\n") * 2 > body.count("\n") else "\n",
        encoding_error=_encoding_error(data),
        index={key: tuple(assignments) for key, assignments in found.items()},
    )


def _is_doubtful(node: Node) -> bool:
    """Whether a node may be a piece of a value that is broken in two."""
    return isinstance(node, Unparsable) or (isinstance(node, Assignment) and not node.separator)


def _nodes(body: str) -> Iterator[Node]:
    never_closed: set[str] = set()
    position, line = 0, 1
    while position < len(body):
        match = _LINE.match(body, position)
        end = match.end() if match else len(body)
        raw = body[position:end]
        node = _line(body, position, raw, line, never_closed)
        yield node
        position += len(node.raw)
        line += 1 if len(node.raw) == len(raw) else _lines_in(node.raw)


def _lines_in(raw: str) -> int:
    return raw.count("\n") + raw.count("\r") - raw.count("\r\n")


def _line(body: str, position: int, raw: str, line: int, never_closed: set[str]) -> Node:
    stripped = raw.strip()
    if not stripped:
        return Blank(raw=raw, line=line)
    if stripped.startswith("#"):
        return Comment(raw=raw, line=line, text=stripped.lstrip("#").strip())
    return _assignment(body, position, raw, line, never_closed)


def _assignment(body: str, position: int, raw: str, line: int, never_closed: set[str]) -> Node:
    key = _KEY.match(raw)
    if key is None:
        return Unparsable(raw=raw, line=line, problem="has no name before its value")
    separator = _SEPARATOR.match(raw, key.end())
    rest = raw[key.end() :].strip()
    if separator is None:
        if rest and not rest.startswith("#"):
            return Unparsable(raw=raw, line=line, problem="is no assignment: white space in the name")
        return _built(raw, line, key, "", _Value("", "", "", rest or None, _at(raw, key.end(), rest)))
    quote = raw[separator.end() : separator.end() + 1]
    if quote in _CLOSING:
        value = _quoted(body, position, separator.end(), quote, never_closed)
        if isinstance(value, str):
            return Unparsable(raw=raw, line=line, problem=value)
        return _built(value.raw, line, key, separator[0], value)
    return _built(raw, line, key, separator[0], _plain(raw, separator.end()))


class _Value:
    """A value as it was found: what is written, inside its quotes, and the comment behind it."""

    __slots__ = ("column", "inline", "inside", "quote", "raw", "written")

    def __init__(  # noqa: PLR0917  # in the order in which they stand in the line
        self, written: str, inside: str, quote: str, inline: str | None, column: int | None, raw: str = ""
    ) -> None:
        self.written = written
        self.inside = inside
        self.quote = quote
        self.inline = inline
        self.column = column
        self.raw = raw


def _at(raw: str, start: int, text: str) -> int | None:
    return raw.index(text, start) + 1 if text else None


def _plain(raw: str, start: int) -> _Value:
    text = raw[start:].rstrip("\r\n")
    # A comment begins after white space; with nothing before it, the white space behind the separator counts.
    first = start if start and raw[start - 1] in " \t" else start + 1
    match = _UNQUOTED.search(raw, first) if first < len(raw) else None
    if match is None or match.start() > start + len(text):
        written = text.rstrip()
        return _Value(written, written, "", None, None)
    written = raw[start : match.start()].rstrip()
    inline = raw[match.start() :].rstrip()
    return _Value(written, written, "", inline, match.start() + 1)


def _quoted(body: str, position: int, start: int, quote: str, never_closed: set[str]) -> _Value | str:
    """The value that begins with a quote; a sentence when the quote never ends."""
    end = None if quote in never_closed else _closing(body, position + start + 1, quote)
    if end is None:
        never_closed.add(quote)
        return f"has a quote ({quote}) that never ends"
    match = _LINE.match(body, end)
    line_end = match.end() if match else len(body)
    whole = body[position:line_end]
    written = body[position + start : end]
    tail = body[end:line_end].rstrip("\r\n")
    comment = tail.strip()
    more = bool(comment) and not comment.startswith("#")
    if more:
        found = _UNQUOTED.search(tail)
        written += (tail[: found.start()] if found else tail).rstrip()
        comment = tail[found.start() :].rstrip() if found else ""
    column = None
    if comment:
        line_start = max(body.rfind("\n", 0, end), body.rfind("\r", 0, end), position - 1) + 1
        column = body.index(comment, end) - line_start + 1
    inside = written if more else body[position + start + 1 : end - 1]
    return _Value(written, inside, quote, comment or None, column, raw=whole)


def _closing(body: str, start: int, quote: str) -> int | None:
    """Where the quote that was opened before ``start`` ends, behind its mark."""
    for match in _CLOSING[quote].finditer(body, start):
        if match[0] == quote:
            return match.end()
    return None


def _built(raw: str, line: int, key: re.Match[str], separator: str, value: _Value) -> Assignment:
    quote: Quote = value.quote  # type: ignore[assignment]  # one of the marks, by where it comes from
    ends = raw.rstrip("\r\n")
    return Assignment(
        raw=raw,
        line=line,
        end_line=line + _lines_in(ends),
        column=key.start("key") + 1,
        key=key["key"],
        export=key["export"] is not None,
        separator=separator if value.written or value.inline else separator.rstrip() or separator,
        written=value.written,
        value=value.inside,
        quote=quote,
        inline=value.inline,
        inline_column=value.column,
    )


def _with_headings(nodes: Iterable[Node]) -> Iterator[Node]:
    """The nodes with headings told from comments, and each assignment's section and comments above."""
    listed = list(nodes)
    section: str | None = None
    above: list[str] = []
    for at, node in enumerate(listed):
        if isinstance(node, Comment):
            title = _heading(listed, at)
            if title is not None:
                section, above = title, []
                yield node._replace(heading=True, text=title)
                continue
            above = [] if _is_rule(node) else [*above, node.text]
            yield node
        elif isinstance(node, Assignment):
            yield node._replace(section=section, above=tuple(above))
            above = []
        else:
            above = []
            yield node


def _heading(nodes: list[Node], at: int) -> str | None:
    """The title, when the comment is one between rules or within its own."""
    node = nodes[at]
    if not isinstance(node, Comment) or _is_rule(node):
        return None
    inner = node.raw.strip()[1:].strip()
    if inner.startswith(_TWO) and inner.endswith(_TWO) and (title := inner.strip(_BANNER).strip()):
        return title
    between = 0 < at < len(nodes) - 1 and _is_rule(nodes[at - 1]) and _is_rule(nodes[at + 1])
    return node.text if between and node.text else None


def _is_rule(node: Node) -> bool:
    if not isinstance(node, Comment):
        return False
    return not node.raw.strip().strip(_RULE_MARKS) and _THREE.search(node.raw) is not None


def _encoding_error(data: bytes) -> int | None:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return data.count(b"\n", 0, error.start) + 1
    return None
