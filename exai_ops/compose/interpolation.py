"""Compose's templates: ``$X``, ``${X}`` with ``:- - :? ? :+ +``, nested; ``$$`` is ``$``.

Source: the Compose specification, chapter on interpolation, and what compose-go does with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_DEPTH: Final = 32
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR: Final = re.compile(r":?[-?+]")

Lookup: TypeAlias = Callable[[str], str | None]


class TemplateError(ValueError):
    """A ``$`` that begins no variable, a brace that never ends, or too many of them in one another."""


class RequiredMissingError(ValueError):
    """``${X:?message}`` or ``${X?message}`` without a value."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"required variable {name} is missing a value: {message}")
        self.name = name
        self.message = message


@dataclass(frozen=True, slots=True)
class Reference:
    """One variable of a template.

    Attributes:
        kind: ``plain``, or its operator.
        operand: The text behind the operator, as written.
        default: The same as a template, None for ``plain``.
    """

    name: str
    kind: str
    operand: str
    default: Template | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """Text and references in turn."""

    parts: tuple[str | Reference, ...]

    def references(self) -> Iterator[Reference]:
        """Every reference, each before those in its operand."""
        for part in self.parts:
            if isinstance(part, Reference):
                yield part
                if part.default is not None:
                    yield from part.default.references()

    def resolve(self, lookup: Lookup, *, strict: bool = False) -> str:
        """The text with every reference replaced; one without a value is empty.

        ``strict`` raises RequiredMissingError where ``?`` asks for it.
        """
        return "".join(
            part if isinstance(part, str) else _value(part, lookup, strict=strict) for part in self.parts
        )


def _value(reference: Reference, lookup: Lookup, *, strict: bool) -> str:
    value = lookup(reference.name)
    kind = reference.kind
    given = value is not None and (bool(value) or not kind.startswith(":"))
    default = reference.default
    if kind == "plain" or default is None:
        return value or ""
    if kind.endswith("+"):
        return default.resolve(lookup, strict=strict) if given else ""
    if given:
        return value or ""
    if kind.endswith("?"):
        if strict:
            raise RequiredMissingError(reference.name, default.resolve(lookup, strict=strict))
        return ""
    return default.resolve(lookup, strict=strict)


def parse_template(text: str) -> Template:
    """The template of a text. Raises TemplateError."""
    if "$" not in text:
        return Template((text,) if text else ())
    template, end = _parse(text, 0, inside=False, depth=0)
    if end != len(text):
        raise TemplateError("a brace that was never opened")
    return template


def _parse(text: str, at: int, *, inside: bool, depth: int) -> tuple[Template, int]:
    """A template up to the end, or to the brace that closes what it is the operand of."""
    if depth > MAX_DEPTH:
        raise TemplateError("too many variables in one another")
    parts: list[str | Reference] = []
    literal: list[str] = []
    while at < len(text):
        mark = text[at]
        if inside and mark == "}":
            break
        if mark != "$":
            literal.append(mark)
            at += 1
        elif text.startswith("$$", at):
            literal.append("$")
            at += 2
        else:
            if literal:
                parts.append("".join(literal))
                literal = []
            reference, at = _reference(text, at + 1, depth)
            parts.append(reference)
    if literal:
        parts.append("".join(literal))
    return Template(tuple(parts)), at


def _reference(text: str, at: int, depth: int) -> tuple[Reference, int]:
    braced = text.startswith("{", at)
    name = _NAME.match(text, at + 1 if braced else at)
    if name is None:
        raise TemplateError("a $ that begins no variable")
    if not braced:
        return Reference(name[0], "plain", ""), name.end()
    if text.startswith("}", name.end()):
        return Reference(name[0], "plain", ""), name.end() + 1
    operator = _OPERATOR.match(text, name.end())
    if operator is None:
        raise TemplateError("something behind a name that is no operator")
    default, end = _parse(text, operator.end(), inside=True, depth=depth + 1)
    if not text.startswith("}", end):
        raise TemplateError("a brace that never ends")
    return Reference(name[0], operator[0], text[operator.end() : end], default), end + 1
