"""Zones: Melbourne through every change of 2025 to 2027, readings that are ambiguous or missing, refusals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops import timezones
from exai_ops.errors import UsageError

MELBOURNE = timezones.zone(timezones.MELBOURNE)
BEGINS = [datetime.fromisoformat(day) for day in ("2025-10-05", "2026-10-04", "2027-10-03")]
ENDS = [datetime.fromisoformat(day) for day in ("2025-04-06", "2026-04-05", "2027-04-04")]
STANDARD, DAYLIGHT = timedelta(hours=10), timedelta(hours=11)


def change(day: datetime) -> float:
    """Both changes come at 16:00 UTC of the Saturday."""
    return (day.replace(tzinfo=UTC) - timedelta(hours=8)).timestamp()


@pytest.fixture(params=["given", "of the process"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tzinfo | None]:
    if request.param == "given":
        yield MELBOURNE
        return
    with monkeypatch.context() as patch:
        patch.setenv("TZ", timezones.MELBOURNE)
        time.tzset()
        yield None
    time.tzset()


@pytest.mark.parametrize("day", BEGINS, ids=str)
def test_daylight_saving_begins(day: datetime, zone: tzinfo | None) -> None:
    last, first = change(day) - 0.001, change(day)
    assert timezones.shown(last, zone) == f"{day:%Y-%m-%d} 01:59:59.999 AEST"
    assert timezones.shown(first, zone) == f"{day:%Y-%m-%d} 03:00:00.000 AEDT"
    assert (timezones.offset(last, zone), timezones.offset(first, zone)) == (STANDARD, DAYLIGHT)
    assert (timezones.is_dst(last, zone), timezones.is_dst(first, zone)) == (False, True)


@pytest.mark.parametrize("day", ENDS, ids=str)
def test_daylight_saving_ends(day: datetime, zone: tzinfo | None) -> None:
    last, first = change(day) - 0.001, change(day)
    assert timezones.shown(last, zone) == f"{day:%Y-%m-%d} 02:59:59.999 AEDT"
    assert timezones.shown(first, zone) == f"{day:%Y-%m-%d} 02:00:00.000 AEST"
    assert timezones.iso(last, zone).endswith("T02:59:59.999+11:00")
    assert (timezones.is_dst(last, zone), timezones.is_dst(first, zone)) == (True, False)


@pytest.mark.parametrize("day", ENDS, ids=str)
def test_an_hour_that_comes_twice_is_decided_by_who_asks(day: datetime, zone: tzinfo | None) -> None:
    reading = day.replace(hour=2, minute=30)
    earlier = timezones.localize(reading, zone, ambiguous="earlier")
    later = timezones.localize(reading, zone, ambiguous="later")
    assert (earlier.timestamp(), later.timestamp()) == (change(day) - 1800, change(day) + 1800)
    assert (earlier.utcoffset(), later.utcoffset()) == (DAYLIGHT, STANDARD)
    with pytest.raises(UsageError, match="is shown twice") as refused:
        timezones.localize(reading, zone, missing="after")
    hint = refused.value.hint or ""
    assert "T02:30:00.000+11:00 or " in hint
    assert hint.endswith("T02:30:00.000+10:00")


@pytest.mark.parametrize("day", BEGINS, ids=str)
def test_an_hour_that_never_comes_is_decided_by_who_asks(day: datetime, zone: tzinfo | None) -> None:
    reading = day.replace(hour=2, minute=30)
    before = timezones.localize(reading, zone, missing="before")
    after = timezones.localize(reading, zone, missing="after")
    assert timezones.clock(before, zone) == "03:30:00.000"
    assert timezones.clock(after, zone) == "01:30:00.000"
    assert (before.timestamp(), after.timestamp()) == (change(day) + 1800, change(day) - 1800)
    with pytest.raises(UsageError, match="is shown never"):
        timezones.localize(reading, zone, ambiguous="later")


@given(st.floats(min_value=-2e9, max_value=4e9))
def test_to_a_zone_and_back(timestamp: float) -> None:
    instant = datetime.fromtimestamp(timestamp, UTC)
    there = timezones.in_zone(instant, MELBOURNE)
    assert timezones.to_utc(there) == instant
    reading = there.replace(tzinfo=None, fold=0)
    which: Any = "later" if there.fold else "earlier"
    assert timezones.localize(reading, MELBOURNE, ambiguous=which).timestamp() == there.timestamp()


@given(st.floats(min_value=-2e9, max_value=4e9))
def test_what_is_written_is_read_back(timestamp: float) -> None:
    instant = datetime.fromtimestamp(timestamp, UTC)
    whole = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    assert timezones.parse(timezones.log_time(instant)) == instant
    assert timezones.parse(timezones.database_time(instant)) == instant
    assert timezones.parse(timezones.iso(whole, MELBOURNE)) == whole


READ = [
    ("2026-01-31T23:59:59.250Z", "2026-01-31T23:59:59.250+00:00"),
    ("2026-02-01T10:59:59.250+11:00", "2026-01-31T23:59:59.250+00:00"),
    ("2026-01-31 23:59:59.25+00", "2026-01-31T23:59:59.250+00:00"),
    ("20260131T235959Z", "2026-01-31T23:59:59.000+00:00"),
    ("2026-W05-6T23:59:59Z", "2026-01-31T23:59:59.000+00:00"),
]


@pytest.mark.parametrize(("text", "utc"), READ)
def test_iso_8601(text: str, utc: str) -> None:
    assert timezones.iso(timezones.parse(text)) == utc


def test_a_text_without_an_offset_needs_a_zone_that_somebody_names() -> None:
    with pytest.raises(UsageError, match="has no offset"):
        timezones.parse("2026-02-01T11:00", MELBOURNE)
    read = timezones.parse("2026-02-01T11:00", MELBOURNE, naive="in zone")
    assert timezones.iso(read) == "2026-02-01T00:00:00.000+00:00"
    with pytest.raises(UsageError, match="is shown twice"):
        timezones.parse("2026-04-05T02:30", MELBOURNE, naive="in zone")
    later = timezones.parse("2026-04-05T02:30", MELBOURNE, naive="in zone", ambiguous="later")
    assert timezones.iso(later) == "2026-04-04T16:30:00.000+00:00"


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00Z", "12:00", "0001-01-01T00:00+12:00"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError):
        timezones.parse(text)


def test_naive_instants_are_refused() -> None:
    naive = datetime.fromisoformat("2026-01-01")
    for ask in (timezones.to_utc, timezones.in_zone, timezones.iso, timezones.shown, timezones.is_dst,
                timezones.offset, timezones.log_time, timezones.database_time):  # fmt: skip
        with pytest.raises(ValueError, match="no offset"):
            ask(naive)
    with pytest.raises(ValueError, match="is not naive"):
        timezones.localize(datetime(2026, 1, 1, tzinfo=UTC))


NEAR = [
    ("Melburne", "did you mean Australia/Melbourne?"),
    ("melbourne", "did you mean Australia/Melbourne?"),
    ("../passwd", "IANA names are meant, like Australia/Melbourne"),
    ("", "IANA names are meant, like Australia/Melbourne"),
]


@pytest.mark.parametrize(("name", "hint"), NEAR)
def test_a_zone_that_is_none(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match="is no time zone") as refused:
        timezones.zone(name)
    assert refused.value.hint == hint


def test_a_zone_without_an_abbreviation_shows_its_offset() -> None:
    assert timezones.shown(0.0, timezones.zone("Asia/Kathmandu")) == "1970-01-01 05:30:00.000 +0530"
    assert timezones.shown(0.0, timezones.zone("utc")) == "1970-01-01 00:00:00.000 UTC"
