"""Assignments as lines of text."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from exai_ops.env.model import Assignment, Quote

# Patterns are text, which ``re`` compiles when it is first tried: a check needs none of them.
_BARE: Final = r"[A-Za-z0-9_./:@%+,~-]*"
_NO_QUOTE: Final = r"""[^'"`\\$\r\n]*"""
_LINE_END: Final = r"\r\n|\n|\r"


class Entry(NamedTuple):
    """What is inserted for one key.

    Attributes:
        lines: Without their ends, comments first.
        fill: Whether a person must fill in the value.
        blank_before, blank_after: Whether a blank line stands there in the source.
    """

    key: str
    lines: tuple[str, ...]
    fill: bool = False
    blank_before: bool = False
    blank_after: bool = False


def whole(assignment: Assignment) -> str:
    """The value, with what stands behind its closing quote: ``xy`` of ``'x'y`` is all there is to hide."""
    quote, value = assignment.quote, assignment.value
    return value if assignment.written == f"{quote}{value}{quote}" else assignment.written


def has_tail(assignment: Assignment) -> bool:
    """Whether something stands behind the closing quote: ``y`` of ``'x'y``."""
    return bool(assignment.quote) and assignment.value == assignment.written


def line_of(assignment: Assignment, written: str, inline: str | None) -> list[str]:
    """The lines of an assignment with another value as written.

    A comment behind an empty value gets a line of its own above, since Compose takes it for the value.
    """
    name = f"export {assignment.key}" if assignment.export else assignment.key
    lines = re.split(_LINE_END, f"{name}={written}" if assignment.separator else name)
    if inline is None:
        return lines
    if not written:
        return [inline, *lines]
    return [*lines[:-1], f"{lines[-1]}{_gap(assignment)}{inline}"]


def _gap(assignment: Assignment) -> str:
    """The white space in front of the inline comment."""
    before = assignment.raw.rstrip("\r\n").removesuffix(assignment.inline or "")
    gap = before[len(before.rstrip(" \t")) :]
    return gap if assignment.written and gap else "  "


def with_value(assignment: Assignment, written: str, newline: str) -> str:
    """The raw text of an assignment with another value as written, and all else as it was."""
    start = assignment.column - 1 + len(assignment.key) + len(assignment.separator)
    head, tail = assignment.raw[:start], assignment.raw[start + len(assignment.written) :]
    if not assignment.written:
        head = head.rstrip(" \t")
        tail = f"  {tail}" if assignment.inline is not None and not tail.startswith((" ", "\t")) else tail
    return head + re.sub(_LINE_END, newline, written) + tail


def fitted(assignment: Assignment, quote: Quote) -> str:
    """The value as written in the quotes of another assignment where they can hold it, else in its own."""
    value = whole(assignment)
    if assignment.quote == quote:
        return assignment.written
    if not quote:
        return value if re.fullmatch(_BARE, value) else assignment.written
    plain = not assignment.quote and re.fullmatch(_NO_QUOTE, value)
    return f"{quote}{value}{quote}" if plain else assignment.written
