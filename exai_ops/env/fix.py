"""Mends what has one right answer, whatever the values mean; every fix names the rule that it satisfies."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from exai_ops.env.document import parse
from exai_ops.env.model import Assignment, Document, Node
from exai_ops.errors import CouldNotLook

BOM: Final = "ENV101"
LINE_ENDS: Final = "ENV103"
COMMENT_AS_VALUE: Final = "ENV104"
TRAILING_SPACE: Final = "ENV105"
SPACED: Final = "ENV114"
LAST_NEWLINE: Final = "ENV115"
DUPLICATE: Final = "ENV003"
CODES: Final = (DUPLICATE, BOM, LINE_ENDS, COMMENT_AS_VALUE, TRAILING_SPACE, SPACED, LAST_NEWLINE)

_STRICT: Final = frozenset({"bash", "docker-run", "compose-raw"})  # they take no space around the equals sign
_LINE_END: Final = re.compile(r"\r\n|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One thing mended: the rule, the line (from 1) of the file as it was, and what was done."""

    code: str
    line: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """The new document, and what was mended, by line."""

    document: Document
    fixes: tuple[Fix, ...] = ()


def fix(document: Document, *, readers: Collection[str] = (), codes: Collection[str] = CODES) -> Fixed:
    """The document with what ``codes`` name mended; no key gets another value.

    Space around ``=`` is taken out when one of ``readers`` would stumble over it. Raises CouldNotLook when
    the file cannot be mended line by line.
    """
    wanted = set(codes) - ({SPACED} if _STRICT.isdisjoint(readers) else set())
    fixes: list[Fix] = []
    text = "".join(_texts(document, wanted, fixes))
    if document.bom and BOM in wanted:
        fixes.insert(0, Fix(code=BOM, line=1, message="took out the byte order mark"))
    elif document.bom:
        text = "\ufeff" + text
    mended = parse(text.encode("utf-8", "surrogateescape"), document.path)
    _prove(document, mended)
    return Fixed(document=mended, fixes=tuple(fixes))


def _texts(document: Document, wanted: Collection[str], fixes: list[Fix]) -> Iterator[str]:
    """The nodes' new texts; what was done is noted in ``fixes``."""
    repeated = _repeated(document) if DUPLICATE in wanted else {}
    mixed = LINE_ENDS in wanted and _is_mixed(document)
    for index, node in enumerate(document.nodes):
        if isinstance(node, Assignment) and index in repeated:
            message = f"took out {node.key}, which line {repeated[index]} has just so"
            fixes.append(Fix(code=DUPLICATE, line=node.line, message=message))
            continue
        raw = _assignment(document, node, wanted, fixes) if isinstance(node, Assignment) else node.raw
        if mixed:
            raw = _even(document, node, raw, fixes)
        if LAST_NEWLINE in wanted and index == len(document.nodes) - 1 and not raw.endswith(("\n", "\r")):
            fixes.append(Fix(code=LAST_NEWLINE, line=node.line, message="ended the last line"))
            raw += document.newline
        yield raw


def _repeated(document: Document) -> dict[int, int]:
    """Index of each assignment that repeats an earlier one to the letter, to that one's line.

    Not those with other values in between, nor those that expand something, which may differ by then.
    """
    index_of = {id(node): index for index, node in enumerate(document.nodes)}
    found: dict[int, int] = {}
    for all_of in document.index.values():
        first: dict[str, int] = {}
        if len({(a.value, a.quote) for a in all_of}) > 1 or re.search(r"[$`\\]", all_of[0].written):
            continue
        for assignment in all_of:
            line = first.setdefault(assignment.raw.strip(), assignment.line)
            if line != assignment.line:
                found[index_of[id(assignment)]] = line
    return found


def _is_mixed(document: Document) -> bool:
    return len({end for node in document.nodes for end in _LINE_END.findall(node.raw)}) > 1


def _even(document: Document, node: Node, raw: str, fixes: list[Fix]) -> str:
    even = _LINE_END.sub(document.newline, raw)
    if even != raw:
        name = {"\n": "LF", "\r\n": "CR LF"}[document.newline]
        fixes.append(Fix(code=LINE_ENDS, line=node.line, message=f"ended the line with {name} like most"))
    return even


def _assignment(document: Document, node: Assignment, wanted: Collection[str], fixes: list[Fix]) -> str:
    """An assignment's text with what is wanted mended."""
    body = node.raw.rstrip("\r\n")
    end = node.raw[len(body) :]
    name = body[: node.column - 1 + len(node.key)]
    separator, rest = node.separator, body[len(name) + len(node.separator) :]

    def done(code: str, message: str) -> None:
        fixes.append(Fix(code=code, line=node.line, message=message))

    above = ""
    if COMMENT_AS_VALUE in wanted and node.inline is not None and not node.written and "=" in separator:
        above = f"{node.inline.rstrip()}{end or document.newline}"
        separator, rest = separator.rstrip(), ""
        done(COMMENT_AS_VALUE, f"moved the comment behind {node.key}= to a line of its own above")
    if SPACED in wanted and _is_spaced(node, separator):
        separator = separator.strip()
        done(SPACED, f"took out the space around the = of {node.key}")
    kept = f"{name}{separator}{rest}"
    stripped = kept.rstrip(" \t")
    if TRAILING_SPACE in wanted and stripped != kept and not stripped.endswith("\\"):
        kept = stripped
        done(TRAILING_SPACE, f"took out the space behind {node.key}")
    return f"{above}{kept}{end}"


def _is_spaced(node: Assignment, separator: str) -> bool:
    before, after = separator != separator.lstrip(), bool(node.written) and separator != separator.rstrip()
    return "=" in separator and (before or after)


def _prove(document: Document, mended: Document) -> None:
    """Raises CouldNotLook unless every key still has its values."""
    if _values(document) != _values(mended):
        raise CouldNotLook(
            f"{document.path}: cannot be mended line by line: a quote does not end where it seems to",
            hint="close the quotes that exai env check names, then run it again",
        )


def _values(document: Document) -> dict[str, list[str]]:
    """Key to its values in order, without those that only repeat the one before."""
    found: dict[str, list[str]] = {}
    for assignment in document.assignments:
        values = found.setdefault(assignment.key, [])
        value = _LINE_END.sub("\n", assignment.value)
        if not values or values[-1] != value:
            values.append(value)
    return found
