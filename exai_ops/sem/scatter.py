"""Many pages of another process by one call to the system, so that they are of nearly the same moment."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
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


def read_pages(pid: int, numbers: list[int]) -> dict[int, bytes] | None:
    """Pages by number; None where one is not mapped any more, or where this is not allowed.

    Args:
        pid: Of the process.
        numbers: In order, each once.
    """
    if _READ is None or not numbers:
        return None if numbers else {}
    data = bytearray(len(numbers) * _PAGE)
    space = (ctypes.c_char * len(data)).from_buffer(data)
    address, ranges = ctypes.addressof(space), list(runs(numbers))
    for first in range(0, len(ranges), _MOST):
        some = [_PAGE * part for pair in ranges[first : first + _MOST] for part in pair]
        size = sum(some[1::2])
        there = (ctypes.c_uint64 * len(some))(*some)  # struct iovec: where it begins, how many bytes
        here = (ctypes.c_uint64 * 2)(address, size)
        if _READ(pid, here, 1, there, len(some) // 2, 0) != size:
            return None
        address += size
    view = memoryview(data)
    return {number: bytes(view[at * _PAGE : (at + 1) * _PAGE]) for at, number in enumerate(numbers)}


def runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """(first, how many) of numbers in order that follow each other."""
    start = 0
    for at in range(1, len(numbers) + 1):
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
            yield numbers[start], at - start
            start = at
