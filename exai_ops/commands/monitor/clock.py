"""Times as they are shown: in a zone, with its abbreviation."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from exai_ops.errors import UsageError


class Shown(NamedTuple):
    """An instant: ``2026-01-31``, ``09:30:00.250``, ``AEDT``."""

    date: str
    time: str
    zone: str


class Clock:
    """Shows times in a zone; None for the machine's own."""

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self._second = lru_cache(maxsize=64)(self._read)

    def at(self, timestamp: float) -> Shown:
        """An instant in seconds since the epoch."""
        seconds, ms = divmod(round(timestamp * 1000), 1000)
        date, time, zone = self._second(seconds)
        return Shown(date, f"{time}.{ms:03d}", zone)

    def _read(self, seconds: int) -> tuple[str, str, str]:
        at = datetime.fromtimestamp(seconds, UTC).astimezone(self._zone)
        return f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}", at.tzname() or f"{at:%z}"


def clock(name: str | None, tz: str | None) -> Clock:
    """Of the zone named; without a name, of ``tz`` (the variable TZ). Raises UsageError for no zone."""
    if name is None:
        return Clock(_zone(tz) if tz else None)
    zone = _zone(name)
    if zone is None:
        near = get_close_matches(name, available_timezones(), 1, 0.6)
        hint = f"did you mean {near[0]}?" if near else "Australia/Melbourne, UTC or Europe/Berlin"
        raise UsageError(f"--tz: {name!r} is no zone", hint=hint)
    return Clock(zone)


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name.removeprefix(":"))
    except (KeyError, ValueError, OSError):  # no such zone, no name, a folder of zones
        return None
