"""Compose's templates: ``$X``, ``${X}`` with ``:- - :? ? :+ +``, nested; ``$$`` is ``$``.

Two habits of compose-go are kept, because values depend on them: a form with an operator must end on its
line, and braces of every kind count when its end is looked for, so that ``${X:-{"a":1}}`` is one form and
``${X:-{a}`` takes all up to the last ``}`` of the line. An operand is looked into only when it is used: a
broken one in ``${X:-${}`` hurts only while X is empty. A ``$`` that begins nothing is itself.

Source: the Compose specification, chapter on interpolation, and compose-go's ``template`` package.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_DEPTH: Final = 32
MAX_CHARACTERS: Final = 1 << 20  # of a template with variables

Lookup: TypeAlias = Callable[[str], str | None]

# compose-go folds case by Unicode, so the long s and the Kelvin sign are letters to it.
_NAME: Final = r"[_A-Za-z\u017f\u212a][_A-Za-z0-9\u017f\u212a]*"
_FORM: Final = re.compile(
    rf"\$(?:(?P<dollar>\$)|(?P<name>{_NAME})|\{{(?P<braced>{_NAME})(?P<operator>\}}|:?[-+?])|\{{)"
)
_BRACES: Final = re.compile(r"\{.?|\}", re.DOTALL)


class TemplateError(ValueError):
    """A ``${`` that begins no variable, too many of them in one another, or a result that is too long."""


class RequiredMissingError(ValueError):
    """``${X:?message}`` or ``${X?message}`` without a value; the message may hold one, so it is not shown."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"required variable {name} is missing a value")
        self.name = name
        self.message = message


@dataclass(frozen=True, slots=True)
class Reference:
    """One variable of a template.

    Attributes:
        kind: ``plain``, or its operator.
        operand: The text behind the operator, as written.
        default: The same as a template, None for ``plain``.
        start, end: Of the whole form in the outermost template, in characters from 0, ``end`` exclusive.
    """

    name: str
    kind: str
    operand: str
    default: Template | None = None
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Broken:
    """What is no form; to resolve it is a TemplateError."""

    why: str
    start: int


@dataclass(frozen=True, slots=True)
class Template:
    """Text, references and what is broken, in turn."""

    parts: tuple[str | Reference | Broken, ...]

    def references(self) -> Iterator[Reference]:
        """Every reference, each before those in its operand."""
        for part in self.parts:
            if isinstance(part, Reference):
                yield part
                if part.default is not None:
                    yield from part.default.references()

    def resolve(
        self,
        lookup: Lookup,
        *,
        strict: bool = False,
        missing: Callable[[str], None] | None = None,
        limit: int = MAX_CHARACTERS,
    ) -> str:
        """The text with every reference replaced; one without a value is empty.

        Args:
            lookup: A name's value, None when it has none.
            strict: Whether ``?`` without a value raises RequiredMissingError.
            missing: Called with each plain name that has no value and is used.
            limit: Most characters of the result, against ``A=$B$B`` in a chain.

        Raises:
            TemplateError: A broken part that is used, or a result above the limit.
            RequiredMissingError: With ``strict``.
        """
        return _Resolver(lookup, strict, missing or _ignored, limit).text(self)


def parse_template(text: str) -> Template:
    """The template of any text; what is wrong with it is a ``Broken`` part."""
    if "$" not in text:
        return Template((text,) if text else ())
    if len(text) > MAX_CHARACTERS:
        return Template((Broken(f"a template of more than {MAX_CHARACTERS} characters", 0),))
    return _parse(text, 0, 0)


def _parse(text: str, offset: int, depth: int) -> Template:
    if depth > MAX_DEPTH:
        return Template((Broken("too many variables in one another", offset),))
    return Template(tuple(_parts(text, offset, depth)))


def _parts(text: str, offset: int, depth: int) -> Iterator[str | Reference | Broken]:
    at = 0
    braces = _LastBraces(text)
    while form := _FORM.search(text, at):
        if form.start() > at:
            yield text[at : form.start()]
        part, at = _form(form, offset, depth, braces)
        yield part
    if at < len(text):
        yield text[at:]


def _form(
    form: re.Match[str], offset: int, depth: int, braces: _LastBraces
) -> tuple[str | Reference | Broken, int]:
    """One form, and where it ends."""
    start, end = form.span()
    if form["dollar"]:
        return "$", end
    if form["name"] or form["operator"] == "}":
        return Reference(form["name"] or form["braced"], "plain", "", None, offset + start, offset + end), end
    last = braces.of_line(end) if form["operator"] else -1
    if last < 0:
        return Broken("a ${ that begins no variable, or that its line does not end", offset + start), end
    close = _closing(form.string, start + 1, last)
    operand = form.string[end:close]
    default = _parse(operand, offset + end, depth + 1)
    where = (offset + start, offset + close + 1)
    return Reference(form["braced"], form["operator"], operand, default, *where), close + 1


def _closing(text: str, start: int, last: int) -> int:
    """Where the brace at ``start`` is closed, or ``last``; the character behind a ``{`` never counts."""
    depth = 0
    for brace in _BRACES.finditer(text, start, last + 1):
        depth += 1 if brace[0][0] == "{" else -1
        if not depth:
            return brace.start()
    return last


class _LastBraces:
    """The last ``}`` of the line of a position; each line is searched once, as positions come in order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line_end = self._last = -1

    def of_line(self, at: int) -> int:
        """Its index, at or behind the position; -1 when there is none."""
        if at > self._line_end:
            found = self._text.find("\n", at)
            self._line_end = len(self._text) if found < 0 else found
            self._last = self._text.rfind("}", at, self._line_end)
        return self._last if self._last >= at else -1


@dataclass(frozen=True, slots=True)
class _Resolver:
    lookup: Lookup
    strict: bool
    missing: Callable[[str], None]
    limit: int

    def text(self, template: Template) -> str:
        pieces: list[str] = []
        size = 0
        for part in template.parts:
            if isinstance(part, Broken):
                raise TemplateError(part.why)
            piece = part if isinstance(part, str) else self._value(part)
            size += len(piece)
            if size > self.limit:
                raise TemplateError("a value that grows too long")
            pieces.append(piece)
        return "".join(pieces)

    def _value(self, reference: Reference) -> str:
        value, kind, default = self.lookup(reference.name), reference.kind, reference.default
        if default is None:
            if value is None:
                self.missing(reference.name)
            return value or ""
        given = value is not None and (bool(value) or not kind.startswith(":"))
        if kind.endswith("+"):
            return self.text(default) if given else ""
        if given:
            return value or ""
        if kind.endswith("-"):
            return self.text(default)
        if self.strict:
            raise RequiredMissingError(reference.name, self.text(default))
        return ""


def _ignored(_: str) -> None:
    """For those who do not ask which names are missing."""
