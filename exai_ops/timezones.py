"""Instants as text: UTC inside, ISO 8601 with offset outside."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

_MILLISECONDS: Final = tuple(f".{ms:03d}+00:00" for ms in range(1000))


def utc_iso(timestamp: float) -> str:
    """An instant in seconds since the epoch as ``2026-01-31T23:59:59.250+00:00``, to the millisecond.

    Raises ValueError or OverflowError outside of the years 1 to 9999.
    """
    seconds, milliseconds = divmod(round(timestamp * 1000), 1000)
    return _second(seconds) + _MILLISECONDS[milliseconds]


def utc_isos(timestamps: Iterable[float]) -> list[str]:
    """``utc_iso`` of each; at half the price where neighbours share a second."""
    shown: list[str] = []
    begin_ms, prefix, marks = 0, _second(0), _MILLISECONDS
    for timestamp in timestamps:
        ms = round(timestamp * 1000) - begin_ms
        if not 0 <= ms < 1000:
            seconds, ms = divmod(begin_ms + ms, 1000)
            begin_ms, prefix = 1000 * seconds, _second(seconds)
        shown.append(prefix + marks[ms])
    return shown


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """The part that a second's events share: formatting it anew is most of an export's time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
