"""systemd's ``EnvironmentFile=``: no expansion and no inline comments.

Comments begin with ``#`` or ``;``. Quoted pieces concatenate, white space between them vanishes; a quote
within an unquoted value is literal. A backslash keeps the next character and joins lines; in double quotes
it goes only before ``"``, a backtick, ``$`` and itself. Names that are no shell names are dropped with a line
in the journal. ``export A=1`` is such a name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from exai_ops.env.model import Reading
from exai_ops.env.readers._reading import Gathering, LineCounter, Refused, decode

_SPACE = re.compile(r"[ \t\r\n]*")
_COMMENT = re.compile(r"(?:[^\\\r\n]++|\\(?:.|\Z))*+(?:[\r\n]|\Z)", re.DOTALL)
_KEY = re.compile(r".[^=\r\n]*", re.DOTALL)
_PLAIN = re.compile(r"(?:[^\\\r\n]++|\\(?:.|\Z))*+", re.DOTALL)
_SINGLE = re.compile(r"([^']*)('?)")
_DOUBLE = re.compile(r'((?:[^"\\]++|\\.)*+)\\?("?)', re.DOTALL)
_GAP = re.compile(r"[ \t]*")
_TOKEN = re.compile(r"\\(?:.|\Z)|[ \t]+|[^\\ \t]+", re.DOTALL)
_DOUBLE_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Surrogates are bytes that are no UTF-8; noncharacters count as such too. Comments may hold them.
_BAD_CHARACTER = re.compile(
    "[\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(p + 0xFFFE)}{chr(p + 0xFFFF)}" for p in range(0, 0x110000, 0x10000))
    + "]"
)
_CONTINUED = re.compile(r"\\[\r\n]")


def read(data: bytes, environ: Mapping[str, str]) -> Reading:  # noqa: ARG001 - it expands nothing
    """What it sets."""
    gathering = Gathering("systemd")
    try:
        _check_nul(data)
        _Parser(decode(data), gathering).run()
    except Refused as refused:
        return gathering.refuse(refused)
    return gathering.done()


def _check_nul(data: bytes) -> None:
    nul = data.find(b"\0")
    if nul >= 0:
        line = data.count(b"\n", 0, nul) + 1
        raise Refused(f"line {line}: a NUL byte", line)


class _Parser:
    def __init__(self, text: str, gathering: Gathering) -> None:
        self.text = text
        self.at = 0
        self.gathering = gathering
        self.lines = LineCounter(text)

    def run(self) -> None:
        while True:
            self.at = self._past(_SPACE)
            if self.at >= len(self.text):
                return
            line = self.lines.line(self.at)
            if self.text[self.at] in "#;":
                self._comment(line)
            else:
                self._statement(line)

    def _past(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.at)
        return found.end() if found else self.at

    def _comment(self, line: int) -> None:
        start, self.at = self.at, self._past(_COMMENT)
        if _CONTINUED.search(self.text, start, self.at):
            self.gathering.problem(
                line, "a comment that ends in a backslash swallows the next line before 254"
            )

    def _statement(self, line: int) -> None:
        start, self.at = self.at, self._past(_KEY)
        key = self.text[start : self.at].rstrip(" \t")
        if self.text[self.at : self.at + 1] != "=":
            self.gathering.problem(line, "a line without = is dropped")
            return
        self.at += 1
        value = self._value()
        if _BAD_CHARACTER.search(key) or _BAD_CHARACTER.search(value):
            raise Refused(f"line {line}: bytes that are no UTF-8, or a character that Unicode has not", line)
        if _NAME.fullmatch(key):
            self.gathering.set(key, value, line)
        else:
            self.gathering.problem(line, "dropped: the name is not made of letters, digits and _ alone")

    def _value(self) -> str:
        pieces: list[str] = []
        while True:
            self.at = self._past(_GAP)
            first = self.text[self.at : self.at + 1]
            if first in ("'", '"'):
                pieces.append(self._quoted(first))
            elif first in ("", "\r", "\n"):
                return "".join(pieces)
            else:
                start, self.at = self.at, self._past(_PLAIN)
                pieces.append(_plain(self.text[start : self.at]))
                return "".join(pieces)

    def _quoted(self, quote: str) -> str:
        found = (_SINGLE if quote == "'" else _DOUBLE).match(self.text, self.at + 1)
        if found is None:  # both match the empty string
            return ""
        if not found.group(2):
            self.gathering.problem(self.lines.line(self.at), f"the quote {quote} takes the rest of the file")
        self.at = found.end()
        return found.group(1) if quote == "'" else _DOUBLE_ESCAPE.sub(_unescape, found.group(1))


def _unescape(found: re.Match[str]) -> str:
    char = found.group(1)
    if char == "\n":
        return ""
    return char if char in '"\\`$' else found.group()


def _plain(raw: str) -> str:
    """An unquoted value: escapes resolved, trailing white space gone unless it is escaped."""
    if "\\" not in raw:
        return raw.rstrip(" \t")
    pieces: list[str] = []
    kept = 0
    for token in _TOKEN.findall(raw):
        if token[0] == "\\":
            pieces.append("" if token[1:] in ("", "\r", "\n") else token[1:])
            kept = len(pieces)
        else:
            pieces.append(token)
            if token[0] not in " \t":
                kept = len(pieces)
    return "".join(pieces[:kept])
