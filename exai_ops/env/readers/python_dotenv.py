"""python-dotenv's ``dotenv_values(path)``, as of 1.2: only ``${X}`` and ``${X:-d}``, in single quotes too.

Values of the file come before the environment when ``${X}`` is looked up (``load_dotenv`` without
``override`` asks the environment first). A line that it cannot read is a warning and a dropped key; the
number in its warning is that of the first blank line above. What remains of a value behind its closing
quote, or of a quote that never closes, drops the key and the rest of that line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from exai_ops.env.model import Reading
from exai_ops.env.readers._reading import (
    BOM,
    MAX_VALUES_CHARACTERS,
    Gathering,
    LineCounter,
    Refused,
    decode,
    first_bad_line,
)

_SPACE = re.compile(r"\s*")
_GAP = re.compile(r"[^\S\r\n]*")
_EXPORT = re.compile(r"export[^\S\r\n]+")
_QUOTED_KEY = re.compile(r"'([^']+)'")
_KEY = re.compile(r"[^=#\s]+")
_EQUALS = re.compile(r"=[^\S\r\n]*")
_SINGLE = re.compile(r"'((?:[^'\\]++|\\.)*+)'", re.DOTALL)
_DOUBLE = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_LINE = re.compile(r"[^\r\n]*")
_COMMENT = re.compile(r"[^\S\r\n]*#[^\r\n]*")
_END = re.compile(r"[^\S\r\n]*(?:\r\n|\n|\r|\Z)")
_REST = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)?")
_NEWLINE = re.compile(r"\r\n|\r")
_ANY_NEWLINE = re.compile(r"\r\n|\n|\r")
_ESCAPES = {"'": re.compile(r"\\([\\'])"), '"': re.compile(r"\\([\\'\"abfnrtv])")}
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_NAME_END = re.compile(r"[}:]")


def read(data: bytes, environ: Mapping[str, str]) -> Reading:
    """What it sets."""
    gathering = Gathering("python-dotenv")
    bad = first_bad_line(data)
    if bad is not None:
        return gathering.refuse(Refused(f"line {bad}: bytes that are no UTF-8", bad))
    try:
        _Parser(decode(data).removeprefix(BOM), environ, gathering).run()
    except Refused as refused:
        return gathering.refuse(refused)
    return gathering.done()


class _BadLine(Exception):
    """The statement cannot be read."""


class _Parser:
    def __init__(self, text: str, environ: Mapping[str, str], gathering: Gathering) -> None:
        self.text = text
        self.at = 0
        self.environ = environ
        self.gathering = gathering
        self.lines = LineCounter(text)
        self.known: dict[str, str | None] = {}
        self.own_line = 1
        self.own_at = 0
        self.expanded = 0  # characters that variables have given

    def run(self) -> None:
        while self.at < len(self.text):
            mark = self.at
            self._take(_SPACE)
            start = self.at
            if start >= len(self.text):
                return
            try:
                self._statement(start)
            except _BadLine:
                self._take(_REST)
                self.gathering.problem(
                    self.lines.line(start),
                    f"could not parse statement starting at line {self._own_line(mark)}: the key is dropped",
                )

    def _own_line(self, mark: int) -> int:
        """The line of a position as python-dotenv counts: a lone carriage return ends one too."""
        self.own_line += len(_ANY_NEWLINE.findall(self.text, self.own_at, mark))
        self.own_at = mark
        return self.own_line

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def _need(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = self._take(pattern)
        if found is None:
            raise _BadLine
        return found

    def _statement(self, start: int) -> None:
        self._take(_EXPORT)
        first = self.text[self.at : self.at + 1]
        key: str | None = None
        if first == "'":
            key = _newlines(self._need(_QUOTED_KEY).group(1))
        elif first != "#":
            key = self._need(_KEY).group()
        self._take(_GAP)
        value: str | None = None
        if self.text[self.at : self.at + 1] == "=":
            value = self._value(self._need(_EQUALS).group())
        self._take(_COMMENT)
        self._need(_END)
        if key is not None:
            self._set(key, value, self.lines.line(start))

    def _value(self, equals: str) -> str:
        first = self.text[self.at : self.at + 1]
        if first in ("'", '"'):
            raw = _newlines(self._need(_SINGLE if first == "'" else _DOUBLE).group(1))
            return _ESCAPES[first].sub(_unescape, raw)
        if len(equals) > 1 and first == "#":
            return ""
        return _without_comment(self._need(_LINE).group())

    def _set(self, key: str, value: str | None, line: int) -> None:
        if value is None:
            self.gathering.unset(key)
            self.gathering.problem(line, "a name without = has no value and is left unset")
        else:
            value = self._expand(value) if "${" in value else value
            self.gathering.set(key, value, line)
        self.known[key] = value

    def _expand(self, value: str) -> str:
        """With ``${name}`` and ``${name:-default}`` replaced; a name goes up to the next ``}`` or ``:``."""
        parts: list[str] = []
        at = 0
        while (start := value.find("${", at)) >= 0 and (found := _NAME_END.search(value, start)):
            end, default = found.start(), None
            if found[0] == ":":
                close = value.find("}", end) if value.startswith(":-", end) else end
                if close < 0:
                    break
                if close == end:  # no ${ before this colon begins a variable
                    parts.append(value[at:end])
                    at = end
                    continue
                default, end = value[end + 2 : close], close
            parts += (value[at:start], self._lookup(value[start + 2 : found.start()], default))
            at = end + 1
        return "".join((*parts, value[at:]))

    def _lookup(self, name: str, default: str | None) -> str:
        if name in self.known:
            value = self.known[name] or ""
        elif name in self.environ:
            value = self.environ[name]
        else:
            value = default or ""
            if default is None:
                self.gathering.need(name)
        self.expanded += len(value)
        if self.expanded > MAX_VALUES_CHARACTERS:
            line = self.lines.line(self.at)
            raise Refused(f"line {line}: its values grow beyond {MAX_VALUES_CHARACTERS >> 20} MiB", line)
        return value


def _newlines(text: str) -> str:
    """As a file opened in text mode gives them."""
    return _NEWLINE.sub("\n", text) if "\r" in text else text


def _unescape(found: re.Match[str]) -> str:
    return _ESCAPED.get(found.group(1), found.group(1))


def _without_comment(part: str) -> str:
    """An unquoted value up to the first ``#`` with white space before it."""
    at = part.find("#", 1)
    while at >= 0 and not part[at - 1].isspace():
        at = part.find("#", at + 1)
    return (part if at < 0 else part[:at]).rstrip()
