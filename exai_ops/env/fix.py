"""Mends what has one right answer, whatever the values mean; every fix names the rule that it satisfies."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from exai_ops.env.document import parse
from exai_ops.env.model import Assignment, Document, Node, Unparsable
from exai_ops.errors import CouldNotLook

BOM: Final = "ENV101"
LINE_ENDS: Final = "ENV103"
COMMENT_AS_VALUE: Final = "ENV104"
TRAILING_SPACE: Final = "ENV105"
SPACED: Final = "ENV114"
LAST_NEWLINE: Final = "ENV115"
DUPLICATE: Final = "ENV003"
CODES: Final = (DUPLICATE, BOM, LINE_ENDS, COMMENT_AS_VALUE, TRAILING_SPACE, SPACED, LAST_NEWLINE)

Leave: TypeAlias = Callable[[str, int, str | None], bool]  # by code, line and key

_STRICT: Final = frozenset({"bash", "docker-run", "compose-raw"})  # they take no space around the equals sign
_LITERAL: Final = frozenset({"docker-run", "compose-raw"})  # to them the space behind = is part of the value
_KEEPS_CR: Final = "bash"
_NODE: Final = "node"  # a tab behind a value stays in it, and a line without = goes on below
_LONE_CR: Final = re.compile(r"\r(?!\n)")


@dataclass(frozen=True, slots=True)
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


def fix(
    document: Document,
    *,
    readers: Collection[str] = (),
    codes: Collection[str] = CODES,
    leave: Leave | None = None,
) -> Fixed:
    """The document with what ``codes`` name mended; no key gets another value.

    Space around ``=`` is removed when one of ``readers`` would stumble over it; space that is part of a
    value to one of them stays. ``leave`` tells what somebody wants to be as it is. Raises CouldNotLook when
    the file cannot be mended line by line.
    """
    wanted = set(codes) - ({SPACED} if _STRICT.isdisjoint(readers) else set())
    fixes: list[Fix] = []
    text = "".join(_texts(document, wanted, fixes, leave or _nothing, frozenset(readers)))
    if document.bom and BOM in wanted and not (leave or _nothing)(BOM, 1, None):
        fixes.insert(0, Fix(BOM, 1, "removed the byte order mark"))
    elif document.bom:
        text = "\ufeff" + text
    mended = parse(text.encode("utf-8", "surrogateescape"), document.path)
    _prove(document, mended)
    return Fixed(document=mended, fixes=tuple(fixes))


def _nothing(code: str, line: int, key: str | None) -> bool:  # noqa: ARG001
    return False


def _texts(
    document: Document, codes: Collection[str], fixes: list[Fix], leave: Leave, readers: frozenset[str]
) -> Iterator[str]:
    """The nodes' new texts; what was done is noted in ``fixes``."""
    seen: dict[str, int] = {}
    newline = "\n" if _KEEPS_CR in readers else document.newline  # a CR more is another value
    mixed = LINE_ENDS in codes and _is_mixed(document, newline if LAST_NEWLINE in codes else "")
    repeatable = _repeatable(document, readers, mixed) if DUPLICATE in codes else frozenset()
    for index, node in enumerate(document.nodes):
        raw = node.raw
        key = node.key if isinstance(node, Assignment) else None
        wanted = {code for code in codes if not leave(code, node.line, key)}
        if isinstance(node, Assignment):
            stray = isinstance(_behind(document, index), Unparsable)  # told as such by the line above it
            once = DUPLICATE in wanted and key in repeatable and not stray
            raw = _assignment(node, wanted, fixes, seen if once else {}, readers, newline)
        if mixed and LINE_ENDS in wanted:
            raw = _even(node, raw, fixes, newline)
        last = bool(raw) and index == len(document.nodes) - 1
        if LAST_NEWLINE in wanted and last and not raw.endswith(("\n", "\r")):
            fixes.append(Fix(LAST_NEWLINE, node.line, "ended the last line"))
            raw += newline
        yield raw


def _behind(document: Document, index: int) -> Node | None:
    return document.nodes[index + 1] if index + 1 < len(document.nodes) else None


def _repeatable(document: Document, readers: frozenset[str], evened: bool) -> frozenset[str]:
    """Keys whose assignments all give the same value, so that a line that is there twice says nothing new.

    Not those that expand something, which may have changed in between; and none where readers disagree on
    where a line ends: at a CR alone, behind a backslash, within a quote that never ends, without ``=``.
    """
    if _NODE in readers and any("=" not in n.raw and n.raw.strip("\r\n") for n in document.nodes):
        return frozenset()
    if any(isinstance(node, Unparsable) or _LONE_CR.search(node.raw) for node in document.nodes):
        return frozenset()
    if any(node.raw.rstrip("\r\n").endswith("\\") for node in document.nodes):
        return frozenset()
    return frozenset(
        key
        for key, all_of in document.index.items()
        if len({_as_read(a, readers, evened) for a in all_of}) == 1
        and not re.search(r"[$`\\]", all_of[0].written)
    )


def _as_read(node: Assignment, readers: frozenset[str], evened: bool) -> tuple[str, str, str]:
    """What makes the value of an assignment, to the readers in use."""
    line = node.raw.rstrip("\r\n")
    space = line[len(line.rstrip(" \t")) :]
    end = "" if evened or _KEEPS_CR not in readers else _end(node.raw)
    return node.written, space if _is_meant(node, space, readers) else "", end.removesuffix("\n")


def _is_mixed(document: Document, last: str) -> bool:
    """Whether lines end in two ways, ``last`` being what an open last line gets.

    Not when a CR stands alone, which some readers take for a character.
    A line end inside quotes is part of the value, and neither counts nor changes.
    """
    if any(_LONE_CR.search(node.raw) for node in document.nodes):
        return False
    return len({_end(node.raw) or last for node in document.nodes} - {""}) > 1


def _end(raw: str) -> str:
    """The line end of a text, or nothing when it has none."""
    return raw[len(raw.rstrip("\r\n")) :]


def _even(node: Node, raw: str, fixes: list[Fix], newline: str) -> str:
    end = _end(raw)
    inside = isinstance(node, Assignment) and node.end_line > node.line
    even = raw if not end else raw.removesuffix(end) + newline if inside else raw.replace(end, newline)
    if even != raw:
        name = {"\n": "LF", "\r\n": "CR LF"}[newline]
        fixes.append(Fix(LINE_ENDS, node.line, f"ended the line with {name} like most"))
    return even


def _assignment(  # noqa: PLR0917
    node: Assignment,
    wanted: Collection[str],
    fixes: list[Fix],
    seen: dict[str, int],
    readers: frozenset[str],
    newline: str,
) -> str:
    """An assignment's text with what is wanted mended; nothing of it when ``seen`` has the line already."""
    end = _end(node.raw)
    above, line, done = _mended(node, wanted, readers)
    first = seen.setdefault(line.strip(), node.line)
    comment = f"{above}{end or newline}" if above else ""
    if first == node.line:
        fixes += done
        return f"{comment}{line}{end}"
    message = f"removed {node.key}, which line {first} has just so"
    fixes += [*(fix for fix in done if fix.code == COMMENT_AS_VALUE), Fix(DUPLICATE, node.line, message)]
    return comment


def _mended(node: Assignment, wanted: Collection[str], readers: frozenset[str]) -> tuple[str, str, list[Fix]]:
    """The comment that goes above an assignment, its own text without the line end, and what was done."""
    body = node.raw.rstrip("\r\n")
    name = body[: node.column - 1 + len(node.key)]
    separator, rest = node.separator, body[len(name) + len(node.separator) :]
    above, done = "", []
    if COMMENT_AS_VALUE in wanted and node.inline is not None and not node.written and "=" in separator:
        above, separator, rest = node.inline.rstrip(), separator.rstrip(), ""
        message = f"moved the comment behind {node.key}= to a line of its own above"
        done.append(Fix(COMMENT_AS_VALUE, node.line, message))
    if SPACED in wanted and (closed := _closed(node, separator, readers)) != separator:
        separator = closed
        done.append(Fix(SPACED, node.line, f"removed the space around the = of {node.key}"))
    line = f"{name}{separator}{rest}"
    stripped = line.rstrip(" \t")
    meant = not above and _is_meant(node, line[len(stripped) :], readers)
    if TRAILING_SPACE in wanted and stripped != line and not stripped.endswith("\\") and not meant:
        line = stripped
        done.append(Fix(TRAILING_SPACE, node.line, f"removed the space behind {node.key}"))
    return above, line, done


def _is_meant(node: Assignment, space: str, readers: frozenset[str]) -> bool:
    """Whether the space at the end of an assignment is part of its value to a reader."""
    if readers & _LITERAL or _LONE_CR.search(node.raw):  # with a CR alone the line goes on, to some
        return True
    return _NODE in readers and "\t" in space and not node.quote and node.inline is None


def _closed(node: Assignment, separator: str, readers: frozenset[str]) -> str:
    """The separator without the space that may go."""
    before, after = separator != separator.lstrip(), bool(node.written) and separator != separator.rstrip()
    if "=" not in separator or not (before or after):
        return separator
    return separator.lstrip() if readers & _LITERAL else separator.strip()


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
        if not values or values[-1] != assignment.value:
            values.append(assignment.value)
    return found
