"""How two environment files differ, by key: as they are written, or as one reader sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

from exai_ops.env.lines import whole
from exai_ops.env.masking import Mask, key_shown
from exai_ops.env.model import Assignment, Document, Reading
from exai_ops.env.order import moves
from exai_ops.env.sections import commented_key, comments_above, counterparts
from exai_ops.env.shown import MASK, shown
from exai_ops.env.suppression import MARK

Kind: TypeAlias = Literal["added", "removed", "switched-on", "switched-off", "changed", "moved", "comment"]

SIGNS: Final[Mapping[Kind, str]] = {
    "added": "+",
    "removed": "-",
    "switched-on": "+",
    "switched-off": "-",
    "changed": "~",
    "moved": ">",
    "comment": "#",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference of the second file from the first.

    Attributes:
        before, after: Line (from 1) in the first and in the second file, None where the key is not there;
            for a key that is switched on or off, the line of the comment that holds it.
        detail: What differs, in words; values of secrets masked.
    """

    kind: Kind
    key: str
    before: int | None
    after: int | None
    detail: str = ""


def compare(first: Document, second: Document, mask: Mask) -> list[Difference]:
    """The differences as the files are written, in the order of the second file, what was removed last.

    A key that only stands in a comment of the other file is ``switched-on`` or ``switched-off``.
    A key assigned more than once counts with its last assignment.
    """
    both = [key for key in second.index if key in first.index]
    found = [*_one_sided(first, second, mask), *_changed(first, second, both, mask)]
    found += [*_moved(first, second, both, mask), *_comments(first, second, both)]
    return sorted(found, key=_place)


def compare_readings(first: Reading, second: Reading, mask: Mask) -> list[Difference]:
    """The differences as a reader sees the two files."""
    found: list[Difference] = []
    for key in {**second.values, **first.values}:
        old, new = first.values.get(key), second.values.get(key)
        shown_key = MASK if mask.is_piece(key) else key
        lines: dict[str, Any] = {"before": first.lines.get(key), "after": second.lines.get(key)}
        if old is None and new is not None:
            found.append(Difference(kind="added", key=shown_key, detail=_say(mask, key, new), **lines))
        elif new is None and old is not None:
            found.append(Difference(kind="removed", key=shown_key, detail=_say(mask, key, old), **lines))
        elif old is not None and new is not None and old != new:
            detail = _change(mask, key, old, new)
            found.append(Difference(kind="changed", key=shown_key, detail=detail, **lines))
    return sorted(found, key=_place)


def as_text(differences: Sequence[Difference]) -> str:
    """One line each: a sign, the lines in both files, the key, what differs."""
    return "".join(f"{_line(difference)}\n" for difference in differences)


def as_json(first: str, second: str, differences: Sequence[Difference]) -> str:
    """``{schema_version, first, second, differences: [{kind, key, before, after, detail}]}``."""
    found = [{**asdict(d), "key": key_shown(d.key)} for d in differences]
    document = {"schema_version": 1, "first": first, "second": second, "differences": found}
    return json.dumps(document, indent=2) + "\n"


def _line(difference: Difference) -> str:
    lines = " -> ".join(f"line {n}" if n else "" for n in (difference.before, difference.after))
    where = lines.removeprefix(" -> ").removesuffix(" -> ")
    detail = f": {difference.detail}" if difference.detail else ""
    return f"{SIGNS[difference.kind]} {key_shown(difference.key)} {difference.kind} ({where}){detail}"


def _place(difference: Difference) -> tuple[bool, int]:
    return difference.after is None, difference.after or difference.before or 0


def _one_sided(first: Document, second: Document, mask: Mask) -> Iterator[Difference]:
    off_first, off_second = _switched_off(first), _switched_off(second)
    for key, all_of in second.index.items():
        if key not in first.index:
            before = off_first.get(key)
            kind: Kind = "added" if before is None else "switched-on"
            detail = _say(mask, key, whole(all_of[-1]))
            yield Difference(kind=kind, key=key, before=before, after=all_of[-1].line, detail=detail)
    for key, all_of in first.index.items():
        if key not in second.index:
            after = off_second.get(key)
            kind = "removed" if after is None else "switched-off"
            detail = _say(mask, key, whole(all_of[-1]))
            yield Difference(kind=kind, key=key, before=all_of[-1].line, after=after, detail=detail)


def _switched_off(document: Document) -> dict[str, int]:
    found = ((commented_key(node), node.line) for node in document.nodes)
    return {key: line for key, line in found if key is not None}


def _changed(first: Document, second: Document, both: Sequence[str], mask: Mask) -> Iterator[Difference]:
    for key in both:
        old, new = first.index[key], second.index[key]
        details = []
        if whole(old[-1]) != whole(new[-1]):
            details.append(_change(mask, key, whole(old[-1]), whole(new[-1])))
        elif bool(old[-1].separator) != bool(new[-1].separator):
            details.append("with = on one side, a bare key on the other")
        if len(old) != len(new):
            details.append(f"assigned {_times(len(old))}, then {_times(len(new))}")
        if details:
            lines = {"before": old[-1].line, "after": new[-1].line}
            yield Difference(kind="changed", key=key, detail="; ".join(details), **lines)


def _moved(first: Document, second: Document, both: Sequence[str], mask: Mask) -> Iterator[Difference]:
    """Keys in another section, and the fewest keys that explain the order of the others."""
    same = counterparts(first, second)
    stayed = []
    for key in both:
        old, new = first.index[key][-1], second.index[key][-1]
        if same.get(old.section, old.section) != new.section:
            detail = f"from {_section(old, mask)} to {_section(new, mask)}"
            yield Difference(kind="moved", key=key, before=old.line, after=new.line, detail=detail)
        else:
            stayed.append(key)
    have = sorted(stayed, key=lambda key: first.index[key][-1].line)
    want = sorted(stayed, key=lambda key: second.index[key][-1].line)
    place = {key: index for index, key in enumerate(want)}
    for key in moves(have, want):
        lines = {"before": first.index[key][-1].line, "after": second.index[key][-1].line}
        yield Difference(kind="moved", key=key, detail=_below(want, place[key]), **lines)


def _comments(first: Document, second: Document, both: Sequence[str]) -> Iterator[Difference]:
    old_above, new_above = _above(first), _above(second)
    for key in both:
        old, new = first.index[key][-1], second.index[key][-1]
        above = old_above[key] != new_above[key]
        inline = _words(old.inline) != _words(new.inline)
        if above or inline:
            places = " and ".join(["above"] * above + ["behind"] * inline)
            detail = f"the comment {places} it is another"
            yield Difference(kind="comment", key=key, before=old.line, after=new.line, detail=detail)


def _above(document: Document) -> dict[str, list[str]]:
    """Key to the comments directly above its last assignment, without the space in them."""
    found: dict[str, list[str]] = {}
    for index, node in enumerate(document.nodes):
        if isinstance(node, Assignment):
            lines = (_words(comment.text) for comment in comments_above(document, index))
            found[node.key] = [line for line in lines if line]
    return found


def _words(text: str | None) -> str:
    """The words of a comment; none of one that suppresses a finding, which is said of its file alone."""
    return "" if MARK in (text or "") else " ".join((text or "").lstrip("#").split())


def _say(mask: Mask, key: str, value: str) -> str:
    return MASK if mask.is_piece(key) or mask.value(key, value) == MASK else shown(key, value)


def _change(mask: Mask, key: str, old: str, new: str) -> str:
    said = _say(mask, key, old), _say(mask, key, new)
    return "another secret" if said == (MASK, MASK) else f"{said[0]}, then {said[1]}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _section(assignment: Assignment, mask: Mask) -> str:
    return "no section" if assignment.section is None else repr(mask.comment(assignment.section))


def _below(order: Sequence[str], place: int) -> str:
    return f"now below {key_shown(order[place - 1])}" if place else "now first"
