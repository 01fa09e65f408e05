"""What was typed on a terminal, from its bytes. Pure."""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 64
"""Bytes after which an escape sequence without an end is none."""
_SEQUENCE: Final = re.compile(
    rb"\x1b\[\[[A-E]|\x1b\[(?P<number>[0-?]*)[ -/]*(?P<end>[@-Z\\-~])|\x1bO(?P<ss3>[ -~])"
)
_BEGINNING: Final = re.compile(rb"\x1b(?:\[(?:\[|[0-?]*[ -/]*)|O)?")
_ENDS: Final = {
    b"A": "up",
    b"B": "down",
    b"C": "right",
    b"D": "left",
    b"H": "home",
    b"F": "end",
    b"M": "enter",
}
_NUMBERS: Final = {
    b"1": "home", b"7": "home", b"4": "end", b"8": "end", b"5": "pgup", b"6": "pgdn", b"3": "delete",
}  # fmt: skip
_NAMED: Final = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace", "\t": "tab"}


class Keys:
    """Bytes of a terminal as keys: a character as itself, others as ``up``, ``pgdn``, ``enter``, ``esc``.

    Sequences of keys without a name here are passed over whole, so that their tail is not taken for typing.
    """

    def __init__(self) -> None:
        self._rest = b""

    @property
    def pending(self) -> bool:
        """Whether what came last may go on."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[str]:
        """The keys that are complete, in order."""
        left, keys = self._rest + data, list[str]()
        while left:
            size, key = _first(left)
            if not size:
                break
            left = left[size:]
            if key:
                keys.append(key)
        self._rest = left
        return keys

    def flush(self) -> list[str]:
        """What is pending once nothing more has come for a while: Escape, or nothing."""
        rest, self._rest = self._rest, b""
        return ["esc"] if rest == b"\x1b" else []


def _first(data: bytes) -> tuple[int, str]:
    """The size and the name of the first key; size 0 where it is not complete, no name where it has none."""
    if data[:1] != b"\x1b":
        return _character(data)
    if (found := _SEQUENCE.match(data)) is not None:
        return found.end(), _name(found)
    if _BEGINNING.fullmatch(data) and len(data) < _LONGEST:
        return 0, ""
    return 1, "esc"


def _name(found: re.Match[bytes]) -> str:
    if found["end"] == b"~":
        return _NUMBERS.get(found["number"].partition(b";")[0], "")
    return _ENDS.get(found["end"] or found["ss3"] or b"", "")


def _character(data: bytes) -> tuple[int, str]:
    lead = data[0]
    size = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    try:
        char = data[:size].decode()
    except UnicodeDecodeError as error:
        goes_on = error.reason == "unexpected end of data" and len(data) < size
        return (0, "") if goes_on else (1, "")
    return size, _NAMED.get(char, char)
