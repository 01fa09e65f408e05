"""A progress bar on stderr, for what takes long at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

LONG_S: Final = 0.7


@contextmanager
def bar(total_bytes: int) -> Iterator[Callable[[int], None] | None]:
    """Takes how many bytes more were read; None where nobody looks, or the total is not known."""
    if not total_bytes or not sys.stderr.isatty():
        yield None
        return
    shown = _Bar(total_bytes)
    try:
        yield shown.more
    finally:
        shown.end()


class _Bar:
    def __init__(self, total: int) -> None:
        self._total, self._done, self._began, self._drawn = total, 0, time.monotonic(), 0.0

    def more(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._began > LONG_S and now - self._drawn > 0.1:
            self._drawn = now
            part = min(1.0, self._done / self._total)
            drawn = "█" * int(30 * part)
            sys.stderr.write(f"\r{drawn:·<30} {part:4.0%} of {self._total / 1e6:.0f} MB")
            sys.stderr.flush()

    def end(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
