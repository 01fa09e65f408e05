"""The lines of a file as bash parses them: each whole, with all its commands, before any of it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from exai_ops.env.readers._bash_words import BashSyntaxError, Code, Lexer, Piece, StopsError
from exai_ops.env.readers._reading import LineCounter

JOINS: Final = frozenset(("|", "|&", "&&", "||"))

_EMPTY: Final = re.compile(r"(?:[ \t\n]|\\\n)+")
_BLANK: Final = re.compile(r"(?:[ \t]|\\\n)+")
_COMMENT: Final = re.compile(r"#[^\n]*")
_ASSIGNMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=")
_SUBSCRIPT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\[[^\] \t\n;&|()<>]*\]\+?=")
_OPERATOR: Final = re.compile(r"\n|;;&?|;&|;|&&|&>>?|&|\|\||\|&?|[()]")
_REDIRECTION: Final = re.compile(r"<\(|>\(|<<[<-]?|[<>]&|<>|>>|>\||[<>]")
_NO_TARGET: Final = ("", *"\n#;&|()<>")
_SCRIPT: Final = re.compile(
    r"if|then|elif|else|fi|for|while|until|do|done|case|esac|select|function|[{}!]|\[\[|time|coproc"
)


@dataclass(slots=True)
class Word:
    """One word; ``key`` is None for what is no assignment, ``line`` counts from 1."""

    line: int
    raw: str
    pieces: tuple[Piece, ...]
    key: str | None = None
    append: bool = False


Command = tuple[list[Word], str]


class Parser:
    """Goes through the lines; ``next_line`` raises BashSyntaxError and StopsError."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1  # of the line that is read
        self.start = 0
        self._lexer = Lexer(text)
        self._lines = LineCounter(text)

    def next_line(self) -> list[Command] | None:
        """The commands of the next line, each with the operator behind it, or None at the end."""
        self._skip(_EMPTY)
        if self.at >= len(self.text):
            return None
        self.start = self.at
        self.line = self._lines.line(self.at)
        return list(self._commands())

    def _commands(self) -> Iterator[Command]:
        words: list[Word] = []
        operator = ""
        while True:
            self._lexer.step()
            self._skip(_BLANK)
            if self._skip(_COMMENT):
                continue
            found = _OPERATOR.match(self.text, self.at)
            if found is None and self.at < len(self.text):
                words.append(self._word(words))
                continue
            self.at = found.end() if found else self.at
            if found and found[0] == "\n" and not words and operator in JOINS:
                continue
            if not found and not words and operator in JOINS:
                raise BashSyntaxError("unexpected end of file")
            operator = found[0] if found else ""
            _check_operator(operator, words)
            if words:
                yield words, operator
            if operator in ("", "\n"):
                return
            words = []

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found is not None

    def _word(self, before: list[Word]) -> Word:
        start, line = self.at, self._lines.line(self.at)
        if redirection := _REDIRECTION.match(self.text, start):
            return self._redirection(redirection, line)
        assignment = _ASSIGNMENT.match(self.text, start)
        if assignment is None:
            if _SUBSCRIPT.match(self.text, start):
                raise StopsError("an array")
            pieces, self.at = self._lexer.word(start, value=False)
            raw = self.text[start : self.at].replace("\\\n", "")
            if "\n" in self.text[start : self.at] and _ASSIGNMENT.match(raw):
                raise StopsError("a name that goes on behind a line's end")
            if not before and _SCRIPT.fullmatch(raw):
                raise StopsError("a script begins, not a list of values")
            return Word(line, raw, pieces)
        at = assignment.end()
        if self.text.startswith("(", at):
            self.at = self._lexer.code_in_brackets(at, "(", ")")
            return Word(line, "", (Code("is an array"),), assignment[1])
        pieces, self.at = self._lexer.word(at, value=True)
        return Word(line, self.text[start : self.at], pieces, assignment[1], append=bool(assignment[2]))

    def _redirection(self, found: re.Match[str], line: int) -> Word:
        if found[0].startswith("<<") and found[0] != "<<<":
            raise StopsError("a here-document")
        if found[0].endswith("("):
            self.at = self._lexer.code_in_brackets(found.end() - 1, "(", ")")
        else:
            self.at = found.end()
            self._skip(_BLANK)
            if self.text[self.at : self.at + 1] in _NO_TARGET:
                raise BashSyntaxError("a redirection without a file")
            _, self.at = self._lexer.word(self.at, value=False)
        return Word(line, found[0], (Code("has a redirection, which runs code"),))


def _check_operator(operator: str, words: list[Word]) -> None:
    if operator in ("(", ")"):
        if operator == "(" and (not words or (len(words) == 1 and words[0].key is None)):
            raise StopsError("a script begins, not a list of values")
        raise BashSyntaxError(f"unexpected {operator}")
    if operator.startswith(";") and operator != ";":
        raise BashSyntaxError(f"unexpected {operator}")
    if not words and operator not in ("", "\n"):
        raise BashSyntaxError(f"unexpected {operator}")
