"""Instants: UTC inside, ISO 8601 with offset outside, a zone's own time on display.

An instant is a ``datetime`` that knows its offset, or seconds since the epoch; a naive ``datetime`` is
refused wherever it comes from. A zone is a ``tzinfo`` that ``zone`` gives; None is the process's own.

A zone's clock shows some hours twice (they are ambiguous: when daylight saving ends) and some never (they are
missing: when it begins). Who turns a clock's reading into an instant says what such a reading means; nobody
guesses.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from exai_ops.errors import UsageError

MELBOURNE: Final = "Australia/Melbourne"
"""AEST, UTC+10, and from the first Sunday of October to the first of April AEDT, UTC+11."""

Ambiguous: TypeAlias = Literal["refuse", "earlier", "later"]
"""What a reading means that the clock shows twice: the first time (daylight saving) or the second."""

Missing: TypeAlias = Literal["refuse", "before", "after"]
"""What a reading means that the clock never shows: it is read with the offset from before the change, or
with the one from after it. ``before`` gives the later instant of the two.
"""

_MILLISECONDS: Final = tuple(f".{ms:03d}+00:00" for ms in range(1000))


# --- instants as text ---------------------------------------------------------------------------


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


def iso(instant: datetime | float, to: tzinfo | None = UTC) -> str:
    """ISO 8601 in a zone, with its offset, to the millisecond: ``2026-02-01T10:59:59.250+11:00``."""
    return in_zone(instant, to).isoformat(timespec="milliseconds")


def shown(instant: datetime | float, to: tzinfo | None = None) -> str:
    """For a person: ``2026-02-01 10:59:59.250 AEDT``; where a zone has no abbreviation, its offset."""
    local = in_zone(instant, to)
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d} {abbreviation(local, to)}"


def clock(instant: datetime | float, to: tzinfo | None = None) -> str:
    """The time of day alone: ``10:59:59.250``."""
    local = in_zone(instant, to)
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"


def log_time(instant: datetime | float) -> str:
    """As log lines have it: UTC, to the microsecond, ``2026-01-31T23:59:59.250000Z``."""
    return in_zone(instant, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def database_time(instant: datetime | float) -> str:
    """As a database takes it for ``timestamptz``: UTC, ``2026-01-31 23:59:59.250000+00:00``."""
    return in_zone(instant, UTC).isoformat(sep=" ", timespec="microseconds")


def parse(
    text: str,
    in_: tzinfo | None = None,
    *,
    naive: Literal["refuse", "in zone"] = "refuse",
    ambiguous: Ambiguous = "refuse",
    missing: Missing = "refuse",
) -> datetime:
    """The instant that an ISO 8601 text names, in UTC: what ``iso``, ``log_time``, ``database_time`` write.

    A text without an offset is refused, or with ``naive="in zone"`` read on the clock of ``in_``, where
    ``ambiguous`` and ``missing`` decide what ``localize`` has to know. A date alone is its first moment.
    Raises UsageError.
    """
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError as error:
        hint = "write it like 2026-01-31T23:59:59+00:00, or with Z for UTC"
        raise UsageError(f"{text!r} is no time in ISO 8601", hint=hint) from error
    if read.tzinfo is not None:
        return _utc(read, text)
    if naive == "refuse":
        hint = "add Z for UTC, or an offset like +11:00"
        raise UsageError(f"{text!r} has no offset: in which zone is it meant?", hint=hint)
    return localize(read, in_, ambiguous=ambiguous, missing=missing).astimezone(UTC)


# --- zones --------------------------------------------------------------------------------------


def zone(name: str) -> tzinfo:
    """The zone of an IANA name like ``Australia/Melbourne``. Raises UsageError, with the nearest name."""
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # OSError: a folder, or a name too long for a file
        known = {known.lower(): known for known in available_timezones()}
        cities = {lowered.rpartition("/")[2]: full for lowered, full in known.items()}
        wanted = name.lower().replace(" ", "_")
        near = difflib.get_close_matches(wanted, [*known, *cities], n=1)
        nearest = known.get(near[0]) or cities[near[0]] if near else None
        hint = f"did you mean {nearest}?" if nearest else "IANA names are meant, like Australia/Melbourne"
        raise UsageError(f"{name!r} is no time zone", hint=hint) from error


def in_zone(instant: datetime | float, to: tzinfo | None = None) -> datetime:
    """The instant on the clock of a zone. Raises ValueError for a naive ``datetime``."""
    if isinstance(instant, datetime):
        return _aware(instant).astimezone(to)
    return datetime.fromtimestamp(instant, UTC).astimezone(to)


def to_utc(instant: datetime) -> datetime:
    """The same instant in UTC. Raises ValueError for a naive one."""
    return _aware(instant).astimezone(UTC)


def offset(instant: datetime | float, of: tzinfo | None = None) -> timedelta:
    """How far a zone's clock is ahead of UTC at an instant."""
    found = in_zone(instant, of).utcoffset()
    assert found is not None  # noqa: S101 - in_zone gives aware ones
    return found


def is_dst(instant: datetime | float, of: tzinfo | None = None) -> bool:
    """Whether daylight saving is on in a zone at an instant."""
    local = in_zone(instant, of)
    if of is None:  # such a datetime has a fixed offset, which knows of no daylight saving
        import time

        return time.localtime(local.timestamp()).tm_isdst > 0
    return bool(local.dst())


def abbreviation(instant: datetime | float, of: tzinfo | None = None) -> str:
    """``AEDT``, ``AEST``, ``UTC``; of a zone without one, its offset like ``+0530``."""
    local = in_zone(instant, of)
    name = local.tzname() or ""
    return name if name.isalpha() else f"{local:%z}"


def localize(
    reading: datetime,
    of: tzinfo | None = None,
    *,
    ambiguous: Ambiguous = "refuse",
    missing: Missing = "refuse",
) -> datetime:
    """The instant at which a zone's clock shows a naive reading.

    Raises UsageError where ``refuse`` decides of a reading that is ambiguous or missing, ValueError for one
    that is not naive.
    """
    if reading.tzinfo is not None:
        raise ValueError(f"{reading.isoformat()} is not naive: it is an instant already")
    both = [_attached(reading.replace(fold=fold), of) for fold in (0, 1)]
    first, second = sorted(both, key=datetime.timestamp)
    if first.utcoffset() == second.utcoffset():
        return first
    if _shows(first, reading, of):  # and second does, too
        return _decided(reading, ambiguous, "twice", {"earlier": first, "later": second})
    return _decided(reading, missing, "never", {"before": second, "after": first})


def _decided(reading: datetime, decision: str, how: str, choices: dict[str, datetime]) -> datetime:
    found = choices.get(decision)
    if found is None:
        either = " or ".join(iso(choice, choice.tzinfo) for choice in choices.values())
        raise UsageError(
            f"{reading.isoformat(' ')} is shown {how} by that zone's clock", hint=f"write {either}"
        )
    # Its offset is kept: on the zone's own clock a missing reading would stand as it is, and mean nothing.
    return found.astimezone(UTC).astimezone(found.tzinfo)


def _attached(reading: datetime, of: tzinfo | None) -> datetime:
    return reading.astimezone() if of is None else reading.replace(tzinfo=of)


def _shows(instant: datetime, reading: datetime, of: tzinfo | None) -> bool:
    return instant.astimezone(UTC).astimezone(of).replace(tzinfo=None, fold=0) == reading.replace(fold=0)


def _aware(instant: datetime) -> datetime:
    if instant.utcoffset() is None:
        raise ValueError(f"{instant.isoformat()} has no offset: a naive time is no instant")
    return instant


def _utc(instant: datetime, text: str) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise UsageError(f"{text!r} lies outside of the years 1 to 9999") from error
