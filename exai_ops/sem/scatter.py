"""Many pages of another process by one call to the system, so that they are of nearly the same moment."""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Iterator
from typing import Any, Final

_PAGE: Final = 4096
_MOST: Final = 1024  # ranges in one call: IOV_MAX


def _call() -> Any:
    """``process_vm_readv`` of the C library, None where there is none."""
    found = getattr(ctypes.CDLL(None), "process_vm_readv", None)
    if found is not None:
        word = ctypes.c_ulong
        found.argtypes = [ctypes.c_int, ctypes.c_void_p, word, ctypes.c_void_p, word, word]
        found.restype = ctypes.c_ssize_t
    return found


_READ: Final = _call()


def read_pages(
    pid: int, numbers: Collection[int], ends: Collection[int] = ()
) -> tuple[dict[int, bytes], dict[int, bytes]] | None:
    """Pages by number, and some of them as they were when all were read; None where one is not mapped any
    more, or where this is not allowed.

    Args:
        pid: Of the process.
        numbers: Of the pages.
        ends: Those that are read first, and once more last: what they have in common did not change between.
    """
    first, rest = sorted(set(ends).intersection(numbers)), sorted(set(numbers).difference(ends))
    wanted = [*first, *rest, *first]
    ranges = [*runs(first), *runs(rest), *runs(first)]
    if _READ is None:
        return None
    data = bytearray(len(wanted) * _PAGE)
    if data and not _read(pid, ranges, data):
        return None
    view = memoryview(data)
    found = [bytes(view[start : start + _PAGE]) for start in range(0, len(data), _PAGE)]
    last = len(first) + len(rest)
    return dict(zip(wanted[:last], found, strict=False)), dict(zip(first, found[last:], strict=True))


def _read(pid: int, ranges: list[tuple[int, int]], into: bytearray) -> bool:
    """Read ranges of pages (the first, how many) one after the other; whether all could be."""
    space = (ctypes.c_char * len(into)).from_buffer(into)
    address = ctypes.addressof(space)
    for first in range(0, len(ranges), _MOST):
        some = [_PAGE * part for pair in ranges[first : first + _MOST] for part in pair]
        size = sum(some[1::2])
        there = (ctypes.c_uint64 * len(some))(*some)  # struct iovec: where it begins, how many bytes
        here = (ctypes.c_uint64 * 2)(address, size)
        if _READ(pid, here, 1, there, len(some) // 2, 0) != size:
            return False
        address += size
    return True


def runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """(first, how many) of numbers in order that follow each other."""
    start = 0
    for at in range(1, len(numbers) + 1) if numbers else ():
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
            yield numbers[start], at - start
            start = at
