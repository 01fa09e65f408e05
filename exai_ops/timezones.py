"""Instants as text: UTC inside, ISO 8601 with offset outside."""

from __future__ import annotations

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


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """The part that a second's events share: formatting it anew is most of an export's time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
