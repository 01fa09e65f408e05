"""Compose's ``env_file``, as compose-go reads it.

A byte order mark is dropped, ``export`` skipped, and ``:`` separates like ``=``. An unquoted value loses its
left white space, then all from the first space-hash on: ``A=  # c`` is the string ``# c``, and a tab before
the hash does not count. Single quotes are literal; double quotes know escapes and ``$``; both may span lines,
and what stands behind the closing quote is read as the next statement. A bare name takes the environment's
value, and so does ``$X`` before it asks the file. A name that begins with a digit is kept: compose-go has a
function that drops it, which Compose does not call.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from exai_ops.compose.interpolation import RequiredMissingError, TemplateError, parse_template
from exai_ops.env.model import Reading
from exai_ops.env.readers._reading import (
    BOM,
    GO_SPACE,
    MAX_VALUES_CHARACTERS,
    Gathering,
    LineCounter,
    Refused,
    decode,
)

_MAX_TEMPLATES = 2 << 20  # a character of a value with nested variables takes up to 3 us
_INLINE_SPACE = "\t\v\f\r \x85\xa0"
_SKIP = re.compile(f"(?:[{GO_SPACE}]++|#[^\n]*)*+")
_EXPORT = re.compile(rf"export(?=[\t\n\f\r ])[{_INLINE_SPACE}]*")
_NAME = re.compile(r"[^=:\n]*")
_PLAIN_NAME = re.compile(rf"[A-Za-z0-9_.\-\[\]{_INLINE_SPACE}]*")
_GAP = re.compile(f"[{_INLINE_SPACE}]*")
_QUOTED = {
    '"': re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL),
    "'": re.compile(r"'((?:[^'\\]++|\\.)*+)'", re.DOTALL),
}
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_ESCAPE = re.compile(r'\\(?:[abcfnrtv$"\\]|0[0-9]{0,3})')
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "$": "$$"}
_OCTAL = re.compile(r"[0-3][0-7]{2}")


def read(data: bytes, environ: Mapping[str, str]) -> Reading:
    """What it sets."""
    gathering = Gathering("compose")
    try:
        _Parser(decode(data).removeprefix(BOM), environ, gathering).run()
    except Refused as refused:
        return gathering.refuse(refused)
    return gathering.done()


class _Parser:
    def __init__(self, text: str, environ: Mapping[str, str], gathering: Gathering) -> None:
        self.text = text
        self.at = 0
        self.environ = environ
        self.gathering = gathering
        self.lines = LineCounter(text)
        self.templates = 0  # characters of values with variables

    def run(self) -> None:
        while True:
            self._take(_SKIP)
            if self.at >= len(self.text):
                return
            line = self.lines.line(self.at)
            key, bare = self._key(line)
            if not bare:
                self._set(key, self._value(line), line)
            elif key in self.environ:
                self._set(key, self.environ[key], line)
            else:
                self.gathering.need(key)
                self.gathering.problem(line, "a bare name that the environment does not give is left unset")

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found.group()

    def _key(self, line: int) -> tuple[str, bool]:
        """The name, and whether it is bare; the position moves past its separator."""
        self._take(_EXPORT)
        if self.at >= len(self.text):
            raise Refused(f"line {line}: export without a name", line)
        start = self.at
        name = self._take(_NAME)
        if not _PLAIN_NAME.fullmatch(name):
            _check_name(name, line)
        end = self.text[self.at : self.at + 1]
        if (
            not end
        ):  # compose-go reads a bare name without a line end as the value of a variable without a name
            self.at = start
            name = ""
        self.at += len(end)
        key = name.rstrip(GO_SPACE)
        if " " in key:
            raise Refused(f"line {line}: key cannot contain a space", line)
        return key, end == "\n"

    def _value(self, line: int) -> str:
        self._take(_GAP)
        quote = self.text[self.at : self.at + 1]
        if quote not in _QUOTED:
            return self._unquoted(line)
        found = _QUOTED[quote].match(self.text, self.at)
        if found is None:
            raise Refused(f"line {line}: unterminated quoted value", line)
        self.at = found.end()
        value = _unescape_quote(found.group(1), quote)
        return self._expand(_ESCAPE.sub(_escape, value), line) if quote == '"' else value

    def _unquoted(self, line: int) -> str:
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        value = self.text[self.at : end].partition(" #")[0].rstrip(GO_SPACE)
        self.at = end + 1
        return self._expand(value, line)

    def _expand(self, value: str, line: int) -> str:
        if "$" not in value:
            return value
        self.templates += len(value)
        if self.templates > _MAX_TEMPLATES:
            raise Refused(
                f"line {line}: its values with variables are more than {_MAX_TEMPLATES >> 20} MiB", line
            )
        limit = max(0, MAX_VALUES_CHARACTERS - self.gathering.size)
        template = parse_template(value)
        try:
            return template.resolve(self._lookup, strict=True, missing=self.gathering.need, limit=limit)
        except TemplateError as error:
            raise Refused(f"line {line}: invalid template, {error}", line) from None
        except RequiredMissingError as error:
            raise Refused(f"line {line}: {error}", line) from None

    def _lookup(self, name: str) -> str | None:
        value = self.environ.get(name)
        return self.gathering.values.get(name) if value is None else value

    def _set(self, key: str, value: str, line: int) -> None:
        if not key:
            self.gathering.problem(line, "a value without a name: a name at the file's end needs a line end")
        else:
            self.gathering.set(key, value, line)


def _check_name(name: str, line: int) -> None:
    for char in name:
        if char in _INLINE_SPACE or char in "_.-[]" or unicodedata.category(char)[0] in "LN":
            continue
        shown = repr(char) if char in "\"'#$`/\\!@%&*()+,;<>?^{|}~" else f"U+{ord(char):04X}"
        raise Refused(f"line {line}: unexpected character {shown} in a variable's name", line)


def _unescape_quote(raw: str, quote: str) -> str:
    """Only the escaped quote loses its backslash here."""
    if "\\" not in raw:
        return raw
    return _PAIR.sub(lambda found: quote if found.group(1) == quote else found.group(), raw)


def _escape(found: re.Match[str]) -> str:
    """One escape of double quotes; an octal that Go does not know keeps its backslash and loses its 0."""
    match = found.group()
    char = match[1]
    if char == "0":
        digits = match[2:]
        return chr(int(digits, 8)) if _OCTAL.fullmatch(digits) else f"\\{digits}"
    if char == "c":
        return match
    return _ESCAPED.get(char, char)
