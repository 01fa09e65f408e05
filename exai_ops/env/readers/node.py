"""Node's ``--env-file`` and ``util.parseEnv``, as of Node 20.20: no expansion, and a value ends at any ``#``.

Only spaces are trimmed, carriage returns vanish, a byte order mark stays in the first name. A name is all
that stands before the next ``=``, line ends included, so a line without ``=`` spoils the name below it. An
empty name ends the reading.
"""

from __future__ import annotations

from collections.abc import Mapping

from exai_ops.env.model import Reading
from exai_ops.env.readers._reading import Gathering, LineCounter, Refused

_QUOTES = ('"', "'", "`")


def read(data: bytes, environ: Mapping[str, str]) -> Reading:  # noqa: ARG001 - Node expands nothing
    """What it sets."""
    gathering = Gathering("node")
    try:
        _Parser(data.replace(b"\r", b"").decode("utf-8", "replace"), gathering).run()
    except Refused as refused:
        return gathering.refuse(refused)
    return gathering.done()


class _Parser:
    """Walks the text; ``at`` is where the unread rest begins."""

    def __init__(self, text: str, gathering: Gathering) -> None:
        self.text = text.rstrip(" ")
        self.at = self._skip_spaces(0)
        self.gathering = gathering
        self.lines = LineCounter(self.text)

    def run(self) -> None:
        while self.at < len(self.text):
            if self.text[self.at] in "\n#":
                end = self.text.find("\n", self.at)
                if end >= 0:
                    self.at = end + 1
                    continue
            if not self._assignment():
                return

    def _skip_spaces(self, at: int) -> int:
        while self.text.startswith(" ", at):
            at += 1
        return at

    def _assignment(self) -> bool:
        """Read one; False when reading ends."""
        equals = self.text.find("=", self.at)
        if equals < 0:
            return False
        written = self.text[self.at : equals]
        key = written.strip(" ")
        line = self.lines.line(self.at + len(written) - len(written.lstrip(" \n")))
        if not written:
            self.gathering.problem(line, "no name before =: reading ends here")
            return False
        if not key:  # spaces alone: Node steps over their beginning, to the line end before them
            key = "\n"
        if "\n" in key:
            self.gathering.problem(line, "a line without = becomes part of the name below it")
        self.at = self._skip_spaces(equals + 1)
        self._value(key.removeprefix("export "), line)
        return True

    def _value(self, key: str, line: int) -> None:
        first = self.text[self.at : self.at + 1]
        end = self.text.find("\n", self.at)
        if first in _QUOTES and first:
            close = self.text.find(first, self.at + 1)
            if close >= 0:
                value = self.text[self.at + 1 : close]
                self.gathering.set(key, value.replace("\\n", "\n") if first == '"' else value, line)
                self._go_to_line_end(close + 1)
            elif end >= 0:
                self.gathering.problem(line, f"the quote {first} is never closed and stays in the value")
                self.gathering.set(key, self.text[self.at : end], line)
                self.at = end
            else:
                self.gathering.problem(line, f"the quote {first} is never closed: left unset")
            return
        value = self.text[self.at : end if end >= 0 else len(self.text)]
        self.gathering.set(key, value.partition("#")[0].strip(" "), line)
        self.at = end if end >= 0 else len(self.text)

    def _go_to_line_end(self, at: int) -> None:
        end = self.text.find("\n", at)
        self.at = end if end >= 0 else len(self.text)
