from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.timezones import utc_iso, utc_isos

INSTANTS = [
    (0.0, "1970-01-01T00:00:00.000+00:00"),
    (1767225599.25, "2025-12-31T23:59:59.250+00:00"),
    (1767225599.9996, "2026-01-01T00:00:00.000+00:00"),
    (1759593599.5, "2025-10-04T15:59:59.500+00:00"),  # the second before Melbourne's clocks go forward
    (1759593600.0, "2025-10-04T16:00:00.000+00:00"),
    (1775318399.0, "2026-04-04T15:59:59.000+00:00"),  # the second before they go back
    (1775318400.0, "2026-04-04T16:00:00.000+00:00"),
    (-0.25, "1969-12-31T23:59:59.750+00:00"),
]


@pytest.mark.parametrize(("timestamp", "text"), INSTANTS)
def test_utc_iso(timestamp: float, text: str) -> None:
    assert utc_iso(timestamp) == text


@pytest.mark.parametrize("zone", ["UTC", "Australia/Melbourne", "America/New_York"])
def test_the_zone_of_the_process_does_not_matter(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        assert [utc_iso(timestamp) for timestamp, _ in INSTANTS] == [text for _, text in INSTANTS]
    time.tzset()


@given(st.floats(min_value=-1e9, max_value=4e9))
def test_it_reads_back_to_the_millisecond(timestamp: float) -> None:
    back = datetime.fromisoformat(utc_iso(timestamp))
    assert back.utcoffset() == timedelta(0)
    assert abs(back - datetime.fromtimestamp(timestamp, UTC)) <= timedelta(microseconds=501)


@given(st.floats(min_value=0, max_value=4e9), st.floats(min_value=0, max_value=1e6))
def test_text_sorts_as_time_does(timestamp: float, later: float) -> None:
    assert utc_iso(timestamp) <= utc_iso(timestamp + later)


@given(st.lists(st.floats(min_value=-1e9, max_value=4e9) | st.floats(min_value=999.99, max_value=1001)))
def test_many_are_each_as_one(timestamps: list[float]) -> None:
    assert utc_isos(timestamps) == [utc_iso(one) for one in timestamps]
