"""Which pages of a mapping were ever touched: a reserved arena of 100 GB need not be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

_PAGE: Final = 4096
_ENTRIES: Final = 1 << 17  # of 8 bytes, so 512 MB of address space a read
_PRESENT_OR_SWAPPED: Final = 3 << 62
_GAP: Final = 16  # untouched pages that are read anyway rather than starting a new range


def touched(pid: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Ranges of addresses that hold something, in order; raises OSError when that cannot be known."""
    import numpy as np

    pending: tuple[int, int] | None = None
    file = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for first in range(start // _PAGE, end // _PAGE, _ENTRIES):
            count = min(_ENTRIES, end // _PAGE - first)
            data = os.pread(file, 8 * count, 8 * first)
            present = np.frombuffer(data, dtype=np.uint64) & np.uint64(_PRESENT_OR_SWAPPED)
            for low, high in _runs(np.flatnonzero(present), first):
                if pending and low - pending[1] <= _GAP * _PAGE:
                    pending = (pending[0], high)
                    continue
                if pending:
                    yield pending
                pending = (low, high)
    finally:
        os.close(file)
    if pending:
        yield pending


def _runs(indices: object, first: int) -> Iterator[tuple[int, int]]:
    import numpy as np

    array = np.asarray(indices)
    if not array.size:
        return
    cuts = np.flatnonzero(np.diff(array) > _GAP)
    starts = np.concatenate(([array[0]], array[cuts + 1]))
    ends = np.concatenate((array[cuts], [array[-1]])) + 1
    for low, high in zip(starts.tolist(), ends.tolist(), strict=True):
        yield (first + low) * _PAGE, (first + high) * _PAGE
