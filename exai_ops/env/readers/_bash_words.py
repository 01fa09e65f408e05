"""bash's words, as far as they need no code to be run: quotes, escapes, ``$X``, ``${X:-word}``, tildes.

A word is a row of pieces. What only a running shell could tell (``$(...)``, backticks, ``${X%y}``, ``$$``,
another user's home) is a ``Code`` piece: the word is read to its end and has no value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_DEPTH: Final = 32
MAX_STEPS: Final = 500_000  # words and pieces of a file; one takes up to 8 us

_RUN: Final = re.compile(r"[^\\'\"`$~:{|&;()<> \t\n]+")
_OPERAND_RUN: Final = re.compile(r"[^\\'\"`$~:}]+")
_DOUBLE_RUN: Final = re.compile(r"[^\\\"`$]+")
_DOUBLE_OPERAND_RUN: Final = re.compile(r"[^\\'\"`$}]+")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*])(\}|:?[-=?+])")
# Forms that bash knows whatever stands in them; one that it does not know costs the rest of its line.
_KNOWN_FORM: Final = re.compile(
    r"#?(?:[A-Za-z_]\w*|[0-9]+|[-@*#?$!])\}|![A-Za-z_]\w*[*@]?\}|[A-Za-z_]\w*(?:[%#/^,]|@[UuLQEPAKak]\})",
    re.ASCII,
)
# What a tilde's name may hold, and what ends it: a slash, a colon, or what ends the word.
_TILDE: Final = re.compile(r"~([^/: \t\n'\"\\$`|&;()<>]*)(?=[/: \t\n|&;()<>]|\\\n|\Z)")
_OPERAND_TILDE: Final = re.compile(r"~([^/:}'\"\\$`]*)(?=[/:}]|\\\n|\Z)")
_ANSI: Final = re.compile(r"'((?:[^'\\]++|\\.)*+)'", re.DOTALL)
_ANSI_ESCAPE: Final = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ANSI_CHARACTERS: Final = {
    **dict(zip("abeEfnrtv", "\a\b\x1b\x1b\f\n\r\t\v", strict=True)),
    **{character: character for character in "\\'\"?"},
}
_BACKTICKS: Final = re.compile(r"`(?:[^`\\]++|\\.)*+`", re.DOTALL)
_CODE_TOKEN: Final = re.compile(r"\\.|'[^']*'|\"(?:[^\"\\]++|\\.)*+\"|`(?:[^`\\]++|\\.)*+`|[(){}]", re.DOTALL)
_ENDS: Final = frozenset("|&;()<> \t\n")


class BashSyntaxError(Exception):
    """bash cannot parse this; it reads no further."""


class StopsError(Exception):
    """What is not read here, though bash goes on: a script begins, or a form is too strange."""


@dataclass(frozen=True, slots=True)
class Text:
    """Characters; ``quoted`` ones mean nothing but themselves."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """``$X``, without an operator, or ``${X:-word}``. A number is an argument, unset in a sourced file."""

    name: str
    operator: str = ""
    word: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class Home:
    """A tilde that stands for ``$HOME``."""


@dataclass(frozen=True, slots=True)
class Code:
    """What only a running shell could tell; ``doubtful`` if it may refuse it, and the whole line with it."""

    why: str
    doubtful: bool = False


Piece: TypeAlias = Text | Parameter | Home | Code
_JOINED: Final = Code("goes on behind a backslash at a line's end, within a name")


class Lexer:
    """Reads words from a text; positions go in, and with what was read come out."""

    steps = 0

    def __init__(self, text: str) -> None:
        self.text = text

    def word(self, at: int, *, value: bool) -> tuple[tuple[Piece, ...], int]:
        """The word at a position and where it ends; ``value`` for what stands behind ``NAME=``.

        Raises BashSyntaxError for a quote or a bracket that never closes, StopsError for what is not read.
        """
        text, pieces = self.text, list[Piece]()
        tilde = True
        while at < len(text) and text[at] not in _ENDS:
            self.step()
            mark = text[at]
            if text.startswith("\\\n", at):
                at += 2
                continue
            if run := _RUN.match(text, at):
                pieces.append(Text(run[0]))
                at = run.end()
            elif mark == "~" and tilde:
                piece, at = self._tilde(at)
                pieces.append(piece)
            elif mark in "~:{":
                pieces.append(Text(mark))
                at += 1
            else:
                at = self._special(at, pieces, 0)
            tilde = value and mark == ":"
        return tuple(pieces), at

    def step(self) -> None:
        """Count a step. Raises StopsError beyond ``MAX_STEPS``."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise StopsError(f"the file has more than {MAX_STEPS} words and pieces of words")

    def code_in_brackets(self, at: int, opening: str, closing: str) -> int:
        """Behind the bracket that closes the one at a position; quoted ones do not count."""
        depth = 0
        for token in _CODE_TOKEN.finditer(self.text, at):
            depth += (token[0] == opening) - (token[0] == closing)
            if not depth and token[0] == closing:
                return token.end()
        raise BashSyntaxError(f"unexpected end of file while looking for {closing}")

    def _tilde(self, at: int, pattern: re.Pattern[str] = _TILDE) -> tuple[Piece, int]:
        found = pattern.match(self.text, at)
        if found is None:
            return Text("~"), at + 1
        if self.text.startswith("\\\n", found.end()):
            return _JOINED, found.end()
        return (Code("names another user's home") if found[1] else Home()), found.end()

    def _special(self, at: int, pieces: list[Piece], depth: int) -> int:
        """A backslash, quote, backtick or dollar outside of double quotes."""
        text, mark = self.text, self.text[at]
        if mark == "\\":
            following = text[at + 1 : at + 2]
            pieces.append(Text({"\n": "", "": "\\"}.get(following, following), quoted=True))
            return at + 2
        if mark == "'":
            return self._single(at, pieces)
        if mark == '"' or text.startswith('$"', at):
            return self._double(text.index('"', at) + 1, pieces, depth)
        if mark == "`":
            return self._backticks(at, pieces)
        if text.startswith("$'", at):
            return self._ansi(at + 1, pieces)
        return self._dollar(at, pieces, depth, double=False)

    def _single(self, at: int, pieces: list[Piece]) -> int:
        end = self.text.find("'", at + 1)
        if end < 0:
            raise BashSyntaxError("unexpected end of file while looking for '")
        pieces.append(Text(self.text[at + 1 : end], quoted=True))
        return end + 1

    def _backticks(self, at: int, pieces: list[Piece]) -> int:
        found = _BACKTICKS.match(self.text, at)
        if found is None:
            raise BashSyntaxError("unexpected end of file while looking for `")
        pieces.append(Code("has backticks, which run code"))
        return found.end()

    def _ansi(self, at: int, pieces: list[Piece]) -> int:
        found = _ANSI.match(self.text, at)
        if found is None:
            raise BashSyntaxError("unexpected end of file while looking for '")
        pieces.append(_ansi_text(found[1]))
        return found.end()

    def _double(self, at: int, pieces: list[Piece], depth: int) -> int:
        """The inside of double quotes, from behind the opening one to behind the closing one."""
        text = self.text
        pieces.append(Text("", quoted=True))
        while at < len(text):
            self.step()
            mark = text[at]
            if run := _DOUBLE_RUN.match(text, at):
                pieces.append(Text(run[0], quoted=True))
                at = run.end()
            elif mark == '"':
                return at + 1
            else:
                at = self._special_in_double(at, pieces, depth, '$`"\\')
        raise BashSyntaxError('unexpected end of file while looking for "')

    def _special_in_double(self, at: int, pieces: list[Piece], depth: int, escaped: str) -> int:
        mark = self.text[at]
        if mark == "\\":
            following = self.text[at + 1 : at + 2]
            kept = "" if following == "\n" else following if following in escaped else "\\" + following
            pieces.append(Text(kept or "", quoted=True))
            return at + 2
        if mark == "`":
            return self._backticks(at, pieces)
        return self._dollar(at, pieces, depth, double=True)

    def _dollar(self, at: int, pieces: list[Piece], depth: int, *, double: bool) -> int:
        following = self.text[at + 1 : at + 2]
        if following == "{":
            return self._braced(at + 2, pieces, depth, double=double)
        if following == "(":
            pieces.append(Code("has $(...), which runs code"))
            return self.code_in_brackets(at + 1, "(", ")")
        if name := _NAME.match(self.text, at + 1):
            joined = self.text.startswith("\\\n", name.end())
            pieces.append(_JOINED if joined else Parameter(name[0]))
            return name.end()
        if following == "$" and (depth or double) and self.text.startswith("{", at + 2):
            raise StopsError("$${ in quotes or in an operand")
        piece, length = self._after_dollar(at + 1, following)
        pieces.append(piece)
        return at + length

    def _after_dollar(self, at: int, following: str) -> tuple[Piece, int]:
        """What a dollar with neither name nor bracket is, and how long with what follows it."""
        if following in tuple("0123456789@*"):
            return Parameter("1"), 2
        if following in tuple("#?$!-["):
            return Code(f"has ${following}, which only a running shell can tell"), 2
        if self.text.startswith("\\\n", at):
            raise StopsError("a dollar that goes on behind a line's end")
        return Text("$"), 1

    def _braced(self, at: int, pieces: list[Piece], depth: int, *, double: bool) -> int:
        """The form from behind ``${``."""
        if depth >= MAX_DEPTH:
            raise StopsError(f"more than {MAX_DEPTH} ${{ in one another")
        found = _PARAMETER.match(self.text, at)
        if found is None:
            _, end = self._operand(at, depth + 1, double=double)
            known = _KNOWN_FORM.match(self.text, at) is not None
            pieces.append(Code("has a form of ${...} that is not read here", doubtful=not known))
            return end
        if found[2] == "}":
            pieces.append(Parameter(found[1]))
            return found.end()
        word, end = self._operand(found.end(), depth + 1, double=double)
        pieces.append(Parameter(found[1], found[2], word))
        return end

    def _operand(self, at: int, depth: int, *, double: bool) -> tuple[tuple[Piece, ...], int]:
        pieces: list[Piece] = []
        while at < len(self.text):
            self.step()
            if self.text[at] == "}":
                return tuple(pieces), at + 1
            step = self._double_operand if double else self._bare_operand
            at = step(at, pieces, depth)
        raise BashSyntaxError("unexpected end of file while looking for }")

    def _bare_operand(self, at: int, pieces: list[Piece], depth: int) -> int:
        mark = self.text[at]
        if run := _OPERAND_RUN.match(self.text, at):
            pieces.append(Text(run[0]))
            return run.end()
        if mark == "~":
            colon = bool(pieces) and pieces[-1] == Text(":")
            piece, at = self._tilde(at, _OPERAND_TILDE) if colon or not pieces else (Text("~"), at + 1)
            pieces.append(piece)
            return at
        if mark == ":":
            pieces.append(Text(":"))
            return at + 1
        return self._special(at, pieces, depth)

    def _double_operand(self, at: int, pieces: list[Piece], depth: int) -> int:
        """Within double quotes an inner one is dropped, and single ones are kept."""
        mark = self.text[at]
        if run := _DOUBLE_OPERAND_RUN.match(self.text, at):
            pieces.append(Text(run[0], quoted=True))
            return run.end()
        if mark == '"':
            return self._double(at + 1, pieces, depth)
        if mark == "'":
            pieces.append(Code("has single quotes in ${...} in double quotes"))
            return at + 1
        return self._special_in_double(at, pieces, depth, '$`"\\}')


def _ansi_text(inside: str) -> Piece:
    """``$'...'`` with its escapes; those that depend on the locale are not told."""
    parts: list[str] = []
    at = 0
    for escape in _ANSI_ESCAPE.finditer(inside):
        parts.append(inside[at : escape.start()])
        at = escape.end()
        found = escape[1]
        code = _ansi_code(found)
        if found in _ANSI_CHARACTERS:
            parts.append(_ANSI_CHARACTERS[found])
        elif code is not None and 0 < code < 128:
            parts.append(chr(code))
        elif code is not None or found in ("u", "U", "x", "c"):
            return Code("has an escape in $'...' that is not read here")
        else:
            parts.append(escape[0])
    return Text("".join(parts) + inside[at:], quoted=True)


def _ansi_code(found: str) -> int | None:
    if found[0] == "x" and len(found) > 1:
        return int(found[1:], 16)
    return int(found, 8) if "0" <= found[0] <= "7" else None
