"""Where the exported functions of an ELF file lie (System V ABI, generic, chapters 4 and 5)."""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import IO, Final

_DYNSYM: Final = 11
_EXECUTABLE: Final = 2
_MOST_BYTES: Final = 64 << 20


def functions(file: IO[bytes], names: Collection[bytes]) -> tuple[dict[bytes, int], bool]:
    """(name -> address, whether these count from where the file is mapped).

    Raises:
        ValueError: It is no 64-bit ELF file, or a damaged one.
    """
    head = file.read(64)
    if len(head) < 64 or head[:5] != b"\x7fELF\x02":
        raise ValueError("not a 64-bit ELF file")
    kind = struct.unpack_from("<H", head, 16)[0]
    at, size, count = struct.unpack_from("<Q10xHH", head, 40)[0], *struct.unpack_from("<HH", head, 58)
    sections = [row for row in struct.iter_unpack("<IIQQQQIIQQ", _part(file, at, size * count)) if size == 64]
    found: dict[bytes, int] = {}
    for section in sections:
        if section[1] == _DYNSYM and section[6] < len(sections):
            strings = sections[section[6]]
            table = _part(file, strings[4], strings[5])
            found |= _named(_part(file, section[4], section[5]), table, names)
    return found, kind != _EXECUTABLE


def _named(symbols: bytes, strings: bytes, names: Collection[bytes]) -> dict[bytes, int]:
    places = {strings.find(b"\0" + name + b"\0") + 1: name for name in names}
    found = {}
    for name, _, _, section, value, _ in struct.iter_unpack("<IBBHQQ", symbols[: len(symbols) // 24 * 24]):
        if section and name in places and name:
            found[places[name]] = value
    return found


def _part(file: IO[bytes], at: int, size: int) -> bytes:
    if size > _MOST_BYTES:
        raise ValueError("a part of it is too large")
    file.seek(at)
    data = file.read(size)
    if len(data) != size:
        raise ValueError("it ends too early")
    return data
