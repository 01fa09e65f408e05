"""Node 20's ``--env-file``: nothing is expanded, a value is cut at any ``#``, quotes span lines.

Only ``\\n`` in double quotes is an escape; a byte order mark stays in the first name; a line without
``=`` becomes part of the name of the next. Source: Node's ``src/node_dotenv.cc``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from exai_ops.env.model import Reading

NAME: Final = "node"
_SPACE: Final = " "  # neither a tab nor a line end is one here


def read(data: bytes, environ: Mapping[str, str]) -> Reading:  # noqa: ARG001  # it expands nothing
    """What Node makes of a file."""
    text = data.decode("utf-8", "replace").replace("\r", "")
    return _Reader(text).reading()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._end = len(text.rstrip(_SPACE))
        self._values: dict[str, str] = {}
        self._lines: dict[str, int] = {}
        self._counted = (0, 1)

    def reading(self) -> Reading:
        at = self._skip_space(0)
        while at < self._end:
            comment = self._text[at] == "#" and self._line_end(at) < self._end
            at = self._line_end(at) + 1 if comment or self._text[at] == "\n" else self._pair(at)
        return Reading(reader=NAME, values=self._values, lines=self._lines)

    def _pair(self, at: int) -> int:
        equal = self._text.find("=", at, self._end)
        key = self._text[at:equal].strip(_SPACE).removeprefix("export ") if equal >= 0 else ""
        if not key:
            return self._end
        start = at + len(self._text[at:equal]) - len(self._text[at:equal].lstrip(_SPACE))
        value, at = self._value(equal + 1)
        if value is not None:
            self._values[key] = value
            self._lines[key] = self._line_of(start)
        return at

    def _value(self, at: int) -> tuple[str | None, int]:
        """The value and where to go on; None for a quote that is open at the end of the file."""
        if at >= self._end or self._text[at] == "\n":
            return "", at + 1
        at = self._skip_space(at)
        quote = self._text[at] if at < self._end else ""
        if quote and quote in "\"'`":
            closing = self._text.find(quote, at + 1, self._end)
            if closing >= 0:
                inside = self._text[at + 1 : closing]
                value = inside.replace("\\n", "\n") if quote == '"' else inside
                return value, self._line_end(closing + 1)
            end = self._line_end(at)
            return (self._text[at:end] if end < self._end else None), end if end < self._end else at
        end = self._line_end(at)
        return self._text[at:end].partition("#")[0].strip(_SPACE), end

    def _skip_space(self, at: int) -> int:
        while at < self._end and self._text[at] in _SPACE:
            at += 1
        return at

    def _line_end(self, at: int) -> int:
        found = self._text.find("\n", at, self._end)
        return self._end if found < 0 else found

    def _line_of(self, at: int) -> int:
        """Line of a position; positions come in order, so that all is counted once."""
        position, line = self._counted
        line += self._text.count("\n", position, at)
        self._counted = (at, line)
        return line
