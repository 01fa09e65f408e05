"""What the pieces of a word give, with the variables that are known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from exai_ops.env.readers._bash_words import Code, Home, Parameter, Piece, StopsError, Text
from exai_ops.env.readers._reading import MAX_VALUES_CHARACTERS, Gathering, Refused

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
READ_ONLY: Final = frozenset(("BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"))

_OWN: Final = re.compile(
    r"BASH\w*|DIRSTACK|EPOCH\w+|EUID|FUNCNAME|GROUPS|HISTCMD|HOSTNAME|HOSTTYPE|IFS|LINENO|MACHTYPE|OPTERR"
    r"|OPTIND|OSTYPE|PATH|PIPESTATUS|PPID|PS4|PWD|RANDOM|SECONDS|SHELL|SHELLOPTS|SHLVL|SRANDOM|TERM|UID|_"
)
_ALWAYS_OWN: Final = re.compile(
    r"BASHPID|BASH_COMMAND|EPOCH(?:REALTIME|SECONDS)|GROUPS|HISTCMD|LINENO|RANDOM|SECONDS|SHLVL|SRANDOM|_"
)


# Set to something, these are something else, or nothing, when they are read.
LIVING: Final = re.compile(
    r"BASHPID|BASH_COMMAND|BASH_(?:LINENO|SOURCE)|DIRSTACK|EPOCH(?:REALTIME|SECONDS)|FUNCNAME|GROUPS|HISTCMD"
    r"|LINENO|RANDOM|SECONDS|SRANDOM|_"
)


class UnknownError(Exception):
    """A value that only a running shell could tell, and why."""


class Expander:
    """Pieces to text, with what the file and the environment give."""

    def __init__(self, environ: Mapping[str, str], gathering: Gathering) -> None:
        self.environ = environ
        self.gathering = gathering
        self.unknown: set[str] = set()
        self.size = 0

    def value(self, pieces: tuple[Piece, ...], line: int) -> str:
        """Raises Refused where the shell would end, else UnknownError for the first piece that is code."""
        texts: list[str] = []
        unknown: UnknownError | None = None
        for piece in pieces:
            try:
                texts.append(self._piece(piece, line))
            except UnknownError as error:
                unknown = unknown or error
        if unknown is not None:
            raise unknown
        return "".join(texts)

    def give_up(self, pieces: tuple[Piece, ...]) -> None:
        """Forget what ``${X:=...}`` may set; raises StopsError where ``${X:?}`` may end the shell."""
        for piece in within(pieces):
            operator = piece.operator[-1:] if isinstance(piece, Parameter) else ""
            if operator == "?":
                raise StopsError("the shell may end here")
            if operator == "=" and isinstance(piece, Parameter):
                self.forget(piece.name)

    def forget(self, name: str) -> None:
        """From here on a variable's value is not known."""
        self.gathering.unset(name)
        self.unknown.add(name)

    def lookup(self, name: str) -> str | None:
        """A variable's value, None when it is not set. Raises UnknownError when it cannot be told."""
        if name in self.unknown:
            raise UnknownError(f"needs {name}, which is not known here")
        if _ALWAYS_OWN.fullmatch(name):
            raise UnknownError(f"needs {name}, which bash itself sets")
        value = self.gathering.values.get(name)
        value = self.environ.get(name) if value is None else value
        if value is None and _OWN.fullmatch(name):
            raise UnknownError(f"needs {name}, which bash itself sets")
        return value

    def _piece(self, piece: Piece, line: int) -> str:
        if isinstance(piece, Text):
            return piece.text
        if isinstance(piece, Code):
            raise UnknownError(piece.why)
        text = self._parameter(piece, line) if isinstance(piece, Parameter) else self._home(piece)
        self.size += len(text)
        if self.size > MAX_VALUES_CHARACTERS:
            raise Refused(f"line {line}: its values grow beyond {MAX_VALUES_CHARACTERS >> 20} MiB", line)
        return text

    def _home(self, _: Home) -> str:
        home = self.lookup("HOME")
        if home is None:
            raise UnknownError("needs HOME, which is not set")
        return home

    def _parameter(self, form: Parameter, line: int) -> str:
        argument = not NAME.fullmatch(form.name)
        try:
            value = None if argument else self.lookup(form.name)
        except UnknownError:
            self.give_up((form,))
            raise
        if not form.operator:
            if value is None and not argument:
                self.gathering.need(form.name)
            return value or ""
        given = value is not None and (bool(value) or not form.operator.startswith(":"))
        if form.operator.endswith("+"):
            return self.value(form.word, line) if given else ""
        if given:
            return value or ""
        if form.operator.endswith("-"):
            return self.value(form.word, line)
        if form.operator.endswith("?"):
            raise Refused(f"line {line}: {form.name} is required and has no value", line)
        if argument:
            raise UnknownError("assigns an argument")
        return self._assigned(form, line)

    def _assigned(self, form: Parameter, line: int) -> str:
        """``${X:=word}`` sets X as well."""
        try:
            value = self.value(form.word, line)
        except UnknownError:
            self.forget(form.name)
            raise
        if form.name in READ_ONLY:
            raise UnknownError(f"assigns {form.name}, which is read-only in bash")
        self.gathering.set(form.name, value, line)
        return value


def within(pieces: tuple[Piece, ...]) -> Iterator[Piece]:
    """Pieces, and those in their operands."""
    for piece in pieces:
        yield piece
        if isinstance(piece, Parameter):
            yield from within(piece.word)
