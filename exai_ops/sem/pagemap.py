"""Which pages of a mapping were ever touched: a reserved arena of 100 GB need not be read."""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Iterable, Iterator
from typing import Final

_PAGE: Final = 4096
_ENTRIES: Final = 1 << 17  # of 8 bytes, so 512 MB of address space a read
_PRESENT_OR_SWAPPED: Final = 3 << 62
_GAP: Final = 16 * _PAGE  # what is read anyway rather than starting a new range

# linux/fs.h, PAGEMAP_SCAN, Linux 6.7 and newer
_SCAN: Final = 0xC0606610
_IS_PRESENT: Final = 1 << 3
_IS_SWAPPED: Final = 1 << 4
_REGIONS: Final = 1 << 12


class _Region(ctypes.Structure):
    _fields_ = [("start", ctypes.c_uint64), ("end", ctypes.c_uint64), ("categories", ctypes.c_uint64)]


class _Argument(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "size", "flags", "start", "end", "walk_end", "vector", "length", "max_pages",
            "inverted", "mask", "any_of", "wanted",
        )
    ]  # fmt: skip


def touched(pid: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Ranges of addresses that hold something, in order; raises OSError when that cannot be known."""
    file = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            yield from _joined(list(_scanned(file, start, end)))
        except OSError:
            yield from _joined(_read(file, start, end))
    finally:
        os.close(file)


def _joined(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    pending: tuple[int, int] | None = None
    for low, high in ranges:
        if pending and low - pending[1] <= _GAP:
            pending = (pending[0], high)
            continue
        if pending:
            yield pending
        pending = (low, high)
    if pending:
        yield pending


def _scanned(file: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """By the kernel's own walk of the page tables: costs what is touched."""
    regions = (_Region * _REGIONS)()
    either = _IS_PRESENT | _IS_SWAPPED
    while start < end:
        ask = _Argument(
            size=ctypes.sizeof(_Argument), start=start, end=end, any_of=either, wanted=either,
            vector=ctypes.addressof(regions), length=_REGIONS,
        )  # fmt: skip
        count = fcntl.ioctl(file, _SCAN, ask)
        for region in regions[:count]:
            yield region.start, region.end
        if ask.walk_end <= start:
            return
        start = ask.walk_end


def _read(file: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """By the page map, 8 bytes a page."""
    import numpy as np

    for first in range(start // _PAGE, end // _PAGE, _ENTRIES):
        count = min(_ENTRIES, end // _PAGE - first)
        data = os.pread(file, 8 * count, 8 * first)
        present = (np.frombuffer(data, dtype=np.uint64) & np.uint64(_PRESENT_OR_SWAPPED)) != 0
        edges = np.flatnonzero(np.diff(np.concatenate(([False], present, [False]))))
        for low, high in zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True):
            yield (first + low) * _PAGE, (first + high) * _PAGE
