"""The outline of a document: its sections, and which of another document's they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from typing import Final, NamedTuple

from exai_ops.env.model import Assignment, Comment, Document, Node

_WORD: Final = re.compile(r"[^\W_]")


class Block(NamedTuple):
    """Comment lines in a row that are no heading.

    Attributes:
        line: Of the first, from 1.
        lines: Their texts.
        below: The assignment directly below, or None.
    """

    line: int
    lines: tuple[str, ...]
    below: Assignment | None


class Matched(NamedTuple):
    """Which section of one document is which of the other.

    Attributes:
        renamed: Title in the live file to title in the example, for sections most of whose keys are the same.
        only_example, only_live: Titles without a counterpart, with their lines.
    """

    renamed: Mapping[str, str]
    only_example: Mapping[str, int]
    only_live: Mapping[str, int]


def sections(document: Document) -> dict[str, int]:
    """Titles of the sections with the line of the first that has it, in order."""
    found: dict[str, int] = {}
    for node in document.nodes:
        if isinstance(node, Comment) and node.heading and says(node.text):
            found.setdefault(node.text, node.line)
    return found


def match(example: Document, live: Document) -> Matched:
    """Sections by title, and those that are left by the keys that they share."""
    ours, theirs = sections(example), sections(live)
    only_example = {title: line for title, line in ours.items() if title not in theirs}
    only_live = {title: line for title, line in theirs.items() if title not in ours}
    shared: Counter[tuple[str, str]] = Counter()
    for key in example.index.keys() & live.index.keys():
        one, two = example.index[key][-1].section, live.index[key][-1].section
        if one in only_example and two in only_live:
            shared[two, one] += 1
    sizes = [Counter(a.section for a in document.assignments) for document in (example, live)]
    renamed: dict[str, str] = {}
    for (two, one), count in sorted(shared.items(), key=lambda item: (-item[1], item[0])):
        most = 2 * count > max(sizes[0][one], sizes[1][two])
        if most and two in only_live and one in only_example:
            renamed[two] = one
            del only_live[two], only_example[one]
    return Matched(renamed=renamed, only_example=only_example, only_live=only_live)


def blocks(document: Document) -> list[Block]:
    """The blocks of comments, in order."""
    found = []
    runs = [(kind, list(nodes)) for kind, nodes in groupby(document.nodes, _kind)]
    for index, (kind, nodes) in enumerate(runs):
        if kind == "comment":
            after = runs[index + 1][1][0] if index + 1 < len(runs) else None
            below = after if isinstance(after, Assignment) else None
            texts = tuple(node.text for node in nodes if isinstance(node, Comment))
            found.append(Block(line=nodes[0].line, lines=texts, below=below))
    return found


def says(text: str) -> bool:
    """Whether a comment has a letter or a digit: one without is a rule or an empty line."""
    return text[:1].isalnum() or _WORD.search(text) is not None


def _kind(node: Node) -> str:
    if not isinstance(node, Comment):
        return "other"
    return "heading" if node.heading or (node.text and not says(node.text)) else "comment"
