"""bash's ``source``: a full shell, of which this reads assignments alone.

What would run code (``$(...)``, backticks, a word behind the value, a command) is a problem and gives no
value: it is not run here, so what it would give is not known. A quote that never ends refuses the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from exai_ops.compose.interpolation import RequiredMissingError, TemplateError, parse_template
from exai_ops.env.model import Reading, ReadProblem

NAME: Final = "bash"
_ASSIGNMENT: Final = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=")
_ENDS: Final = " \t\n;&|()<>"
_EXPANDS: Final = re.compile(r"\$(?:\{|[A-Za-z_0-9])")


class _RefusedError(Exception):
    """The file cannot be parsed, or ends at a line."""


class _CodeError(Exception):
    """Something here would run."""


def read(data: bytes, environ: Mapping[str, str]) -> Reading:
    """What ``source`` leaves in the variables that a file assigns."""
    return _Reader(data.decode("utf-8", "surrogateescape"), environ).reading()


def _nothing_more(behind: str) -> None:
    if behind.strip(" \t;") and not behind.lstrip().startswith("#"):
        raise _CodeError("has a word behind its value; that would run, with the variable for it alone")


def _unescaped(following: str) -> str:
    """What a backslash in double quotes makes of the character behind it."""
    if following == "\n":
        return ""
    return following if following in '$`"\\' else "\\" + following


class _Reader:
    def __init__(self, text: str, environ: Mapping[str, str]) -> None:
        self._text = text
        self._environ = environ
        self._values: dict[str, str] = {}
        self._lines: dict[str, int] = {}
        self._problems: list[ReadProblem] = []
        self._needs: list[str] = []
        self._counted = (0, 1)

    def reading(self) -> Reading:
        at, refused = 0, None
        try:
            while at < len(self._text):
                at = self._command(at)
        except _RefusedError as error:
            refused = str(error)
        return Reading(
            reader=NAME,
            values={} if refused else self._values,
            lines={} if refused else self._lines,
            problems=tuple(self._problems),
            refused=refused,
            needs=tuple(self._needs),
        )

    def _command(self, at: int) -> int:
        """One line's command, or what is left of it."""
        text = self._text
        while at < len(text) and text[at] in " \t\n;":
            at += 1
        if at >= len(text):
            return at
        if text[at] == "#":
            return self._line_end(at)
        line = self._line_of(at)
        match = _ASSIGNMENT.match(text, at)
        end = self._end_of_words(at, line)
        if match is None:
            self._problems.append(ReadProblem(line=line, message="is a command; it would run"))
            return end
        try:
            value, behind = self._word(match.end(), line)
            _nothing_more(text[behind:end])
        except _CodeError as error:
            self._problems.append(ReadProblem(line=line, message=str(error)))
            return end
        self._values[match[1]], self._lines[match[1]] = value, line
        return end

    def _end_of_words(self, at: int, line: int) -> int:
        """The end of the line on which the command ends: quotes may span lines."""
        text, quote = self._text, ""
        begins_word = True
        while at < len(text):
            mark = text[at]
            if mark == "\\" and quote != "'":
                at += 2
                continue
            if quote:
                quote = "" if mark == quote else quote
            elif mark == "#" and begins_word:
                return self._line_end(at)
            elif mark in "'\"`":
                quote = mark
            elif mark == "\n":
                return at
            begins_word = mark in " \t;" and not quote
            at += 1
        if quote:
            raise _RefusedError(f"line {line}: unexpected EOF while looking for matching `{quote}'")
        return len(text)

    def _word(self, at: int, line: int) -> tuple[str, int]:
        """The value that begins here, expanded, and where it ends."""
        text, parts = self._text, []
        while at < len(text) and text[at] not in _ENDS:
            mark = text[at]
            if mark == "'":
                end = text.index("'", at + 1)
                parts.append(text[at + 1 : end])
                at = end + 1
            elif mark == '"':
                part, at = self._double_quoted(at + 1, line)
                parts.append(part)
            elif mark == "\\":
                parts.append("" if text[at + 1 : at + 2] == "\n" else text[at + 1 : at + 2])
                at += 2
            elif mark == "`":
                raise _CodeError("has backticks; they would run")
            elif mark == "$":
                part, at = self._dollar(at, line)
                parts.append(part)
            else:
                parts.append(mark)
                at += 1
        if at < len(text) and text[at] in "&|()<>":
            raise _CodeError(f"has a {text[at]} that the shell acts on")
        return "".join(parts), at

    def _double_quoted(self, at: int, line: int) -> tuple[str, int]:
        text, parts = self._text, []
        while text[at] != '"':
            mark = text[at]
            if mark == "\\":
                parts.append(_unescaped(text[at + 1]))
                at += 2
            elif mark == "`":
                raise _CodeError("has backticks; they would run")
            elif mark == "$":
                part, at = self._dollar(at, line)
                parts.append(part)
            else:
                parts.append(mark)
                at += 1
        return "".join(parts), at + 1

    def _dollar(self, at: int, line: int) -> tuple[str, int]:
        """What a ``$`` stands for; positional parameters are empty in a sourced file."""
        text = self._text
        if text.startswith("$(", at):
            raise _CodeError("has $(...); it would run")
        if not _EXPANDS.match(text, at):
            return ("", at + 2) if text[at + 1 : at + 2] in tuple("$!?@*#-") else ("$", at + 1)
        if text[at + 1].isdigit():
            return "", at + 2
        end = self._brace_end(at + 1, line) if text[at + 1] == "{" else at + 1 + self._name_length(at + 1)
        try:
            template = parse_template(text[at:end])
        except TemplateError:
            raise _CodeError("has an expansion that is not read here") from None
        self._needs += [
            reference.name
            for reference in template.references()
            if reference.kind == "plain" and self._look(reference.name) is None
        ]
        try:
            return template.resolve(self._look, strict=True), end
        except RequiredMissingError as error:
            raise _RefusedError(f"line {line}: {error.name}: {error.message}") from None

    def _name_length(self, at: int) -> int:
        match = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").match(self._text, at)
        return len(match[0]) if match else 0

    def _brace_end(self, at: int, line: int) -> int:
        depth = 0
        for position in range(at, len(self._text)):
            if self._text[position] == "{":
                depth += self._text[position - 1] == "$"
            elif self._text[position] == "}":
                depth -= 1
                if not depth:
                    return position + 1
        raise _RefusedError(f"line {line}: unexpected EOF while looking for matching `}}'")

    def _look(self, name: str) -> str | None:
        return self._values.get(name, self._environ.get(name))

    def _line_end(self, at: int) -> int:
        found = self._text.find("\n", at)
        return len(self._text) if found < 0 else found

    def _line_of(self, at: int) -> int:
        position, line = self._counted
        line += self._text.count("\n", position, at)
        self._counted = (at, line)
        return line
