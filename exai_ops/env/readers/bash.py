"""bash's ``source``: a full shell, of which this reads assignments alone, and those exactly.

``NAME=value`` and ``export NAME=value``, several on a line, ``NAME+=value``, comments, ``;``, a single ``&``
(which takes the assignment into a subshell, so that it is lost). What would run code is a problem and leaves
its names without a value, and so does what depends on these: a command or a word behind a value, ``$(...)``,
redirections, arrays. Where bash itself stops (syntax, a quote that never closes) or a script begins (``if``,
a function), reading stops; what stands above keeps its values, unless the script may set them again.
``${X:?}`` without X ends the shell, so the file counts as refused. A carriage return is a character like
any other.

Source: the Bash reference manual, chapters 3.1 to 3.5, and bash 5.2 itself.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Final

from exai_ops.env.model import Reading
from exai_ops.env.readers._bash_lines import JOINS, Parser, Word
from exai_ops.env.readers._bash_values import LIVING, NAME, READ_ONLY, Expander, UnknownError, within
from exai_ops.env.readers._bash_words import BashSyntaxError, Code, Parameter, Piece, StopsError, Text
from exai_ops.env.readers._reading import Gathering, Refused, decode

_ACTED_ON: Final = JOINS | {"&>", "&>>"}
_SETTERS: Final = re.compile(
    "declare|getopts|let|local|mapfile|printf|read|readarray|readonly|typeset|unset|wait"
)
_STOPPERS: Final = re.compile(
    r"\.|builtin|command|enable|eval|exec|exit|logout|return|set|shopt|source|suspend|trap"
)
_GLOB: Final = frozenset("*?[")
_EXPORTS_ALL: Final = (["set", "-a"], ["set", "+a"], ["set", "-o", "allexport"], ["set", "+o", "allexport"])
_SETS: Final = re.compile(r"(?<![A-Za-z0-9_])([A-Za-z_][A-Za-z0-9_]*)['\"]?(?:\[[^][\n]*\])?[+:]?=")


def read(data: bytes, environ: Mapping[str, str]) -> Reading:
    """What ``source`` leaves in the variables that a file assigns."""
    gathering = Gathering("bash")
    parser = Parser(decode(data))
    shell = _Shell(environ, gathering)
    try:
        while (commands := parser.next_line()) is not None:
            shell.run(commands)
    except BashSyntaxError as error:
        gathering.problem(parser.line, f"bash stops here: {error}")
    except StopsError as error:
        gathering.problem(parser.line, f"reading stops here: {error}")
        for key in _SETS.findall(parser.text, parser.start):  # bash goes on, and may set them again
            gathering.unset(key)
    except Refused as refused:
        return gathering.refuse(refused)
    return gathering.done()


class _Shell:
    def __init__(self, environ: Mapping[str, str], gathering: Gathering) -> None:
        self.gathering = gathering
        self.expander = Expander(environ, gathering)

    def run(self, commands: list[tuple[list[Word], str]]) -> None:
        before = ""
        if any(
            isinstance(p, Code) and p.doubtful for ws, _ in commands for w in ws for p in within(w.pieces)
        ):
            for words, _ in commands:
                self._give_up(words)
                self._unknown(words, "has a form that bash may refuse, and this line with it")
            return
        for words, operator in commands:
            self._execute(words, operator, before)
            before = operator

    def _execute(self, words: list[Word], operator: str, before: str) -> None:
        joined = {operator, before} & _ACTED_ON
        command = next((at for at, word in enumerate(words) if word.key is None), len(words))
        if joined:
            self._give_up(words)
            self._unknown(words, f"stands at {' and '.join(sorted(joined))}, which the shell acts on")
        elif operator == "&":
            self._lost(words, "stands before an & and is set in a subshell alone")
        elif command == len(words):
            self._assign(words)
        elif words[command].raw == "export":
            self._lost(words[:command], "stands before a command and is set for that alone")
            self._export(words[command + 1 :])
        elif self._commands_shell(words[command:]):
            self._unknown(words, "runs code that sets variables")
        elif any(isinstance(piece, Code) for word in words for piece in word.pieces if word.key is None):
            self._expand_for_effects(words)
            self._unknown(words, "stands on a line that runs code")
        elif self._vanish(words[command:]):
            self._assign(words[:command])
        else:
            self._expand_for_effects(words)
            self._lost(words, "runs code: a command, or a word behind a value")

    def _assign(self, words: list[Word]) -> None:
        for word in words:
            value = self._value_or_why_not(word)
            if isinstance(value, str):
                self._set(word, value)
            else:
                self._forget(word, str(value))

    def _commands_shell(self, words: list[Word]) -> bool:
        """Whether a command may set variables, which are forgotten; StopsError where it may do anything."""
        command = words[0].raw.strip("\\'\"")
        if _STOPPERS.fullmatch(command) and [word.raw for word in words] not in _EXPORTS_ALL:
            raise StopsError("a command that may change anything, or end the shell")
        if not _SETTERS.fullmatch(command):
            return False
        self._give_up(words)
        for word in words[1:]:
            for name in NAME.findall(word.raw):
                self.expander.forget(name)
        return True

    def _vanish(self, words: list[Word]) -> bool:
        """Whether nothing is left of the words behind the assignments: ``A=1 $EMPTY`` is no command."""
        if any(word.key is not None or not _parameters_alone(word.pieces) for word in words):
            return False
        with contextlib.suppress(UnknownError):
            return not any(self.expander.value(w.pieces, words[0].line).strip(" \t\n") for w in words)
        return False

    def _export(self, words: list[Word]) -> None:
        """The arguments of ``export``: all are expanded before one is assigned."""
        if any(word.raw.startswith("-") for word in words):
            self._unknown(words, "gives options to export, which are not read here")
            return
        ready: list[tuple[Word, str | UnknownError]] = []
        for word in words:
            if word.key is None:
                self._export_other(word)
            elif _braces(word.pieces):
                ready.append((word, UnknownError("has braces, which export expands into several words")))
            else:
                ready.append((word, self._value_or_why_not(word)))
        for word, value in ready:
            if isinstance(value, str):
                self._set(word, value)
            else:
                self._forget(word, str(value))

    def _value_or_why_not(self, word: Word) -> str | UnknownError:
        try:
            return self.expander.value(word.pieces, word.line)
        except UnknownError as error:
            return error

    def _export_other(self, word: Word) -> None:
        """A bare name, or what may become an assignment when it is expanded."""
        if NAME.fullmatch(word.raw) is not None:
            return
        if not _GLOB.isdisjoint(word.raw):
            raise StopsError("export of what file names give")
        try:
            expanded = self.expander.value(word.pieces, word.line)
        except UnknownError:
            raise StopsError("export of names that are not known here") from None
        for key in _SETS.findall(expanded):
            self.expander.forget(key)
        self.gathering.problem(word.line, "is no name for export")

    def _expand_for_effects(self, words: list[Word]) -> None:
        """For ``${X:=...}`` and ``${X:?}`` in what is run."""
        for word in sorted(words, key=lambda word: word.key is not None):
            with contextlib.suppress(UnknownError):
                self.expander.value(word.pieces, words[0].line)

    def _give_up(self, words: list[Word]) -> None:
        for word in words:
            self.expander.give_up(word.pieces)

    def _set(self, word: Word, value: str) -> None:
        key = word.key or ""
        if key in READ_ONLY:
            self.gathering.problem(word.line, f"{key} is read-only in bash")
            return
        if LIVING.fullmatch(key):
            self._forget(word, f"{key} is what bash itself makes of it")
            return
        if word.append:
            try:
                value = (self.expander.lookup(key) or "") + value
            except UnknownError:
                self._forget(word, f"adds to {key}, which is not known here")
                return
        self.expander.unknown.discard(key)
        self.gathering.set(key, value, word.line)

    def _forget(self, word: Word, reason: str) -> None:
        self.expander.forget(word.key or "")
        self.gathering.problem(word.line, reason)

    def _unknown(self, words: list[Word], reason: str) -> None:
        self.gathering.problem(words[0].line, reason)
        for word in words:
            if word.key is not None:
                self.expander.forget(word.key)

    def _lost(self, words: list[Word], reason: str) -> None:
        if words:
            self.gathering.problem(words[0].line, reason)


def _parameters_alone(pieces: tuple[Piece, ...]) -> bool:
    return all(isinstance(piece, Parameter) for piece in pieces)


def _braces(pieces: tuple[Piece, ...]) -> bool:
    """Whether brace expansion may find work in a word."""
    bare = "".join(p.text if isinstance(p, Text) and not p.quoted else "x" for p in pieces)
    inside = bare[bare.find("{") : bare.rfind("}") + 1]
    return "," in inside or ".." in inside
