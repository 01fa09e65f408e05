"""The sections of a document: what stands under a heading, and which sections of two files are the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from exai_ops.env.model import Assignment, Blank, Comment, Document, Node
from exai_ops.env.outline import match

_SIGNS: Final = frozenset(" \t#=*~_-")
_RUN: Final = re.compile(r"[#=*~_-]{3}")
_OFF: Final = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=(?!=)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One stretch of a document's nodes.

    Attributes:
        title: Of its heading, or None for what stands before the first.
        start, end: Indexes of its first node, the rule above the heading included, and past its last.
        heading: Index past its banner: the heading and the rules around it.
    """

    title: str | None
    start: int
    end: int
    heading: int


def is_rule(node: Node) -> bool:
    """Whether a comment is a line drawn with signs alone."""
    if not isinstance(node, Comment):
        return False
    drawn = node.raw.strip()
    return _SIGNS.issuperset(drawn) and _RUN.search(drawn) is not None


def commented_key(node: Node) -> str | None:
    """The key of an assignment that a comment holds, or None."""
    found = _OFF.match(node.text) if isinstance(node, Comment) else None
    return found[1] if found else None


def sections(document: Document) -> list[Section]:
    """The sections, in order; the first has no title and may be empty."""
    nodes = document.nodes
    headings = [i for i, node in enumerate(nodes) if isinstance(node, Comment) and node.heading]
    starts = [_banner_start(nodes, i) for i in headings]
    ends = [*starts, len(nodes)][1:]
    found = [Section(title=None, start=0, end=starts[0] if starts else len(nodes), heading=0)]
    for at, start, end in zip(headings, starts, ends, strict=True):
        title = _title(nodes[at])
        found.append(Section(title=title, start=start, end=end, heading=_banner_end(nodes, at, end)))
    return found


def _title(node: Node) -> str:
    return node.text if isinstance(node, Comment) else ""


def _banner_start(nodes: Sequence[Node], at: int) -> int:
    return at - 1 if at and is_rule(nodes[at - 1]) else at


def _banner_end(nodes: Sequence[Node], at: int, end: int) -> int:
    past = at + 1
    return past + 1 if past < end and is_rule(nodes[past]) else past


def block_above(document: Document, at: int) -> int:
    """Index of the first comment directly above a node, the node's own when there is none.

    A heading and a rule end the block: they belong to the section.
    """
    nodes = document.nodes
    while at and isinstance(nodes[at - 1], Comment) and not ends_block(nodes[at - 1]):
        at -= 1
    return at


def ends_block(node: Node) -> bool:
    """Whether a comment belongs to a section, not to the key below it: a heading or a rule."""
    return is_rule(node) or (isinstance(node, Comment) and node.heading)


def comments_above(document: Document, at: int) -> list[Comment]:
    """The comments directly above a node."""
    above = document.nodes[block_above(document, at) : at]
    return [node for node in above if isinstance(node, Comment)]


def counterparts(source: Document, target: Document) -> dict[str | None, str | None]:
    """Title of each section of the source that the target has to the target's title.

    The same title; or, for a section that was renamed, the one that shares most of its keys.
    """
    known = {section.title for section in sections(target)}
    found = {section.title: section.title for section in sections(source) if section.title in known}
    return found | dict(match(target, source).renamed)


def last_assignment(document: Document, section: Section) -> int | None:
    """Index of the last assignment of a section, or None."""
    return next((i for i in _backwards(section) if isinstance(document.nodes[i], Assignment)), None)


def last_text(document: Document, section: Section) -> int:
    """Index of the last node of a section that is not blank, or the one before its first."""
    texts = (i for i in _backwards(section) if not isinstance(document.nodes[i], Blank))
    return next(texts, section.start - 1)


def _backwards(section: Section) -> Iterator[int]:
    return reversed(range(section.start, section.end))
