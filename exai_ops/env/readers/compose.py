"""Compose's ``env_file``, as compose-go's dotenv parser reads it.

A byte order mark is skipped; ``export``; ``:`` separates too; a bare name is taken from the environment;
an unquoted value is cut at the first space-hash after its left trim, so ``KEY=  # note`` gives ``# note``;
double quotes have escapes and variables, single ones neither; quotes span lines; a name that begins with
a digit is dropped without a word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from exai_ops.compose.interpolation import RequiredMissingError, TemplateError, parse_template
from exai_ops.env.model import Reading, ReadProblem

NAME: Final = "compose"
_EXPORT: Final = re.compile(r"export[ \t]+")
_ESCAPE: Final = re.compile(r'\\([abcfnrtv$"\\]|[0-7]{3})')
_ESCAPED: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LONE: Final = re.compile(r"\$\$|\$(?![A-Za-z_{])")
_NAME_RUNE: Final = re.compile(r"[\w.\-\[\]]")


class _RefusedError(Exception):
    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")


def read(data: bytes, environ: Mapping[str, str]) -> Reading:
    """What Compose makes of an ``env_file``."""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n")
    reader = _Reader(text, environ)
    try:
        return reader.reading()
    except (_RefusedError, RequiredMissingError) as error:
        return Reading(reader=NAME, values={}, lines={}, refused=str(error))


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
        at = 0
        while (at := self._statement(at)) < len(self._text):
            at = self._pair(at)
        problems = tuple(self._problems)
        return Reading(
            reader=NAME, values=self._values, lines=self._lines, problems=problems, needs=tuple(self._needs)
        )

    def _statement(self, at: int) -> int:
        """Where the next statement begins, behind white space and comments."""
        text = self._text
        while at < len(text):
            if text[at].isspace():
                at += 1
            elif text[at] == "#":
                at = self._line_end(at)
            else:
                break
        return at

    def _pair(self, at: int) -> int:
        line = self._line_of(at)
        if match := _EXPORT.match(self._text, at):
            at = match.end()
        key, at, bare = self._key(at, line)
        if bare:
            if key in self._environ:
                self._keep(key, self._environ[key], line)
            else:
                self._needs.append(key)
            return at
        value, at = self._value(at)
        self._keep(key, value, line)
        return at

    def _keep(self, key: str, value: str, line: int) -> None:
        if key[:1].isdigit():
            self._problems.append(ReadProblem(line=line, message=f"{key} begins with a digit: dropped"))
            return
        self._values[key], self._lines[key] = value, line

    def _key(self, at: int, line: int) -> tuple[str, int, bool]:
        """The name, where its value begins, and whether it has none."""
        text, end = self._text, at
        while end < len(text) and text[end] not in "=:\n":
            if not _NAME_RUNE.match(text[end]) and not text[end].isspace():
                raise _RefusedError(line, f"unexpected character {text[end]!r} in variable name")
            end += 1
        key = text[at:end].rstrip()
        if any(character.isspace() for character in key):
            raise _RefusedError(line, "key cannot contain a space")
        bare = end >= len(text) or text[end] == "\n"
        return key, end + (0 if bare else 1), bare

    def _value(self, at: int) -> tuple[str, int]:
        text = self._text
        while at < len(text) and text[at] in " \t\v\f\r":
            at += 1
        quote = text[at : at + 1]
        if quote in ("'", '"') and quote:
            return self._quoted(at, quote)
        end = self._line_end(at)
        value = text[at:end].partition(" #")[0].rstrip()
        return self._expanded(value), end

    def _quoted(self, at: int, quote: str) -> tuple[str, int]:
        text = self._text
        end = text.find(quote, at + 1)
        while end >= 0 and text[end - 1] == "\\":
            end = text.find(quote, end + 1)
        if end < 0:
            first = text[at : self._line_end(at)]
            raise _RefusedError(self._line_of(len(text)), f"unterminated quoted value {first}")
        inside = text[at + 1 : end]
        literal = quote == "'"
        value = inside.replace("\\'", "'") if literal else self._expanded(_ESCAPE.sub(_unescape, inside))
        return value, self._line_end(end + 1)

    def _expanded(self, value: str) -> str:
        if "$" not in value:
            return value
        kept = _LONE.sub(lambda match: "$$" if match[0] == "$" else match[0], value)
        try:
            template = parse_template(kept)
        except TemplateError:
            return value
        self._needs += [
            r.name for r in template.references() if r.kind == "plain" and self._look(r.name) is None
        ]
        return template.resolve(self._look, strict=True)

    def _look(self, name: str) -> str | None:
        """The shell's value goes before the file's."""
        return self._environ.get(name, self._values.get(name))

    def _line_end(self, at: int) -> int:
        found = self._text.find("\n", at)
        return len(self._text) if found < 0 else found

    def _line_of(self, at: int) -> int:
        position, line = self._counted
        line += self._text.count("\n", position, at)
        self._counted = (at, line)
        return line


def _unescape(match: re.Match[str]) -> str:
    escape = match[1]
    if escape == "$":
        return "$$"
    if len(escape) == 3:
        return chr(int(escape, 8) & 0xFF)
    return _ESCAPED.get(escape, escape if escape in '"\\' else match[0])
