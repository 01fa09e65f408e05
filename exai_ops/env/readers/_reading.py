"""What the readers share: bytes to text, line numbers, and the gathering of a ``Reading``."""

from __future__ import annotations

from dataclasses import dataclass, field

from exai_ops.env.model import Reading, ReadProblem

BOM = "\ufeff"
MAX_VALUES_CHARACTERS = 32 << 20  # of all expanded values of a file; A=$B$B in a chain doubles with each line
GO_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)  # unicode.IsSpace; Python's own set has \x1c to \x1f besides


def decode(data: bytes) -> str:
    """The text, a byte order mark included; bytes that are no UTF-8 become surrogates."""
    return data.decode("utf-8", "surrogateescape")


def first_bad_line(data: bytes) -> int | None:
    """Line of the first byte that is no UTF-8, or None."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return data.count(b"\n", 0, error.start) + 1
    return None


class Refused(Exception):
    """Inside a reader: it refuses the whole file, at a line of it."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class LineCounter:
    """Line numbers of positions that only grow; linear over a whole text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._returns = "\r" in text

    def line(self, at: int) -> int:
        """Line (from 1) of a position, which must not lie before the last one asked for.

        As in a ``Document``, a carriage return without a line feed ends a line too.
        """
        text, start = self._text, self._at
        self._line += text.count("\n", start, at)
        if self._returns:
            self._line += text.count("\r", start, at) - text.count("\r\n", start, at)
        self._at = at
        return self._line


@dataclass(slots=True)
class Gathering:
    """A ``Reading`` while it is made."""

    reader: str
    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[ReadProblem] = field(default_factory=list)
    needs: dict[str, None] = field(default_factory=dict)
    size: int = 0

    def set(self, key: str, value: str, line: int) -> None:
        """Give a key its value; a later one replaces it. Raises Refused when all values grow too large."""
        self.size += len(value)
        if self.size > MAX_VALUES_CHARACTERS:
            raise Refused(f"line {line}: its values grow beyond {MAX_VALUES_CHARACTERS >> 20} MiB", line)
        self.values[key] = value
        self.lines[key] = line

    def unset(self, key: str) -> None:
        """Take a key back."""
        self.values.pop(key, None)
        self.lines.pop(key, None)

    def problem(self, line: int, message: str) -> None:
        """Note what the reader stumbles over."""
        self.problems.append(ReadProblem(line=line, message=message))

    def need(self, name: str) -> None:
        """Note a name that was looked up in vain."""
        self.needs[name] = None

    def done(self) -> Reading:
        """The reading."""
        return Reading(
            reader=self.reader,
            values=self.values,
            lines=self.lines,
            problems=tuple(self.problems),
            needs=tuple(self.needs),
        )

    def refuse(self, why: Refused) -> Reading:
        """The reading of a file that is refused: no values, and the place among the problems."""
        self.problem(why.line, why.message)
        return Reading(
            reader=self.reader, values={}, lines={}, problems=tuple(self.problems), refused=why.message
        )
