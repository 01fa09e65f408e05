"""systemd's ``EnvironmentFile=``: a machine of states, one character at a time.

``;`` begins a comment too, and none stands behind a value; a backslash before a line end goes on; quotes
join what they hold to what stands beside them; ``$`` means nothing; a name that is none is dropped.
Source: systemd's ``src/basic/env-file.c``, and systemd.exec(5).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Final

from exai_ops.env.model import Reading, ReadProblem

NAME: Final = "systemd"
_VALID: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NEWLINE: Final = "\n\r"
_SPACE: Final = " \t\n\r"


class _State(enum.Enum):
    BEFORE_KEY = enum.auto()
    KEY = enum.auto()
    BEFORE_VALUE = enum.auto()
    VALUE = enum.auto()
    VALUE_ESCAPE = enum.auto()
    SINGLE = enum.auto()
    DOUBLE = enum.auto()
    DOUBLE_ESCAPE = enum.auto()
    COMMENT = enum.auto()
    COMMENT_ESCAPE = enum.auto()


def read(data: bytes, environ: Mapping[str, str]) -> Reading:  # noqa: ARG001  # it expands nothing
    """What systemd makes of an ``EnvironmentFile=``; bytes that are no UTF-8 make it refuse."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Reading(reader=NAME, values={}, lines={}, refused=f"line {line} is no UTF-8")
    machine = _Machine()
    for character in text:
        machine.feed(character)
    machine.end()
    return Reading(reader=NAME, values=machine.values, lines=machine.lines, problems=tuple(machine.problems))


class _Machine:
    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.lines: dict[str, int] = {}
        self.problems: list[ReadProblem] = []
        self._state = _State.BEFORE_KEY
        self._key: list[str] = []
        self._value: list[str] = []
        self._kept = 0  # characters of the value that trailing white space does not reach
        self._line = self._began = 1
        self._steps = {
            _State.BEFORE_KEY: self._before_key,
            _State.KEY: self._in_key,
            _State.BEFORE_VALUE: self._before_value,
            _State.VALUE: self._in_value,
            _State.VALUE_ESCAPE: self._value_escape,
            _State.SINGLE: self._single,
            _State.DOUBLE: self._double,
            _State.DOUBLE_ESCAPE: self._double_escape,
            _State.COMMENT: self._comment,
            _State.COMMENT_ESCAPE: self._comment_escape,
        }

    def feed(self, character: str) -> None:
        self._steps[self._state](character)
        self._line += character == "\n"

    def end(self) -> None:
        states = (_State.BEFORE_KEY, _State.KEY, _State.COMMENT, _State.COMMENT_ESCAPE)
        if self._state not in states:
            self._push()

    def _push(self) -> None:
        key = "".join(self._key).rstrip(_SPACE)
        value = "".join(self._value)
        value = value[: self._kept] + value[self._kept :].rstrip(_SPACE)
        if _VALID.fullmatch(key):
            self.values[key], self.lines[key] = value, self._began
        else:
            self.problems.append(ReadProblem(line=self._began, message="is no name of a variable: dropped"))
        self._key, self._value, self._kept = [], [], 0
        self._state = _State.BEFORE_KEY

    def _keep(self, text: str) -> None:
        self._value.append(text)
        self._kept = len(self._value)

    def _before_key(self, character: str) -> None:
        if character in "#;":
            self._state = _State.COMMENT
        elif character not in _SPACE:
            self._key, self._began, self._state = [character], self._line, _State.KEY

    def _in_key(self, character: str) -> None:
        if character in _NEWLINE:
            self.problems.append(ReadProblem(line=self._began, message="is no assignment: dropped"))
            self._state = _State.BEFORE_KEY
        elif character == "=":
            self._state = _State.BEFORE_VALUE
        else:
            self._key.append(character)

    def _before_value(self, character: str) -> None:
        if character in _NEWLINE:
            self._kept = len(self._value)
            self._push()
        elif character in "'\"\\":
            marks = {"'": _State.SINGLE, '"': _State.DOUBLE, "\\": _State.VALUE_ESCAPE}
            self._state = marks[character]
        elif character not in _SPACE:
            self._value.append(character)
            self._state = _State.VALUE

    def _in_value(self, character: str) -> None:
        if character in _NEWLINE:
            self._push()
        elif character == "\\":
            self._kept = len(self._value)
            self._state = _State.VALUE_ESCAPE
        else:
            self._value.append(character)

    def _value_escape(self, character: str) -> None:
        self._state = _State.VALUE
        if character not in _NEWLINE:
            self._keep(character)

    def _single(self, character: str) -> None:
        if character == "'":
            self._state = _State.BEFORE_VALUE
        else:
            self._keep(character)

    def _double(self, character: str) -> None:
        if character == '"':
            self._state = _State.BEFORE_VALUE
        elif character == "\\":
            self._state = _State.DOUBLE_ESCAPE
        else:
            self._keep(character)

    def _double_escape(self, character: str) -> None:
        self._state = _State.DOUBLE
        if character in '"\\`$':
            self._keep(character)
        elif character != "\n":
            self._keep("\\")
            self._keep(character)

    def _comment(self, character: str) -> None:
        if character == "\\":
            self._state = _State.COMMENT_ESCAPE
        elif character in _NEWLINE:
            self._state = _State.BEFORE_KEY

    def _comment_escape(self, character: str) -> None:  # noqa: ARG002  # whatever it is, a line end too
        self._state = _State.COMMENT
