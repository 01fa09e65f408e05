"""Events on disk: what is written is read back, in order, bounded, whatever the clock or the disk does."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exai_ops.errors import StorageError
from exai_ops.monitor import kept
from exai_ops.monitor.events import Event
from exai_ops.monitor.kept import KeptEvents

DAY = 86400.0


class Clock:
    def __init__(self, now: float = 1_767_225_600.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def event(timestamp: float, size: int = 0, **more: Any) -> Event:
    return Event(timestamp, "websocket", "send", "test.py", "send", size, **more)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[KeptEvents]:
    made = KeptEvents(tmp_path / "events", max_bytes=4 * 1024 * 1024, max_age_s=8 * DAY, clock=clock)
    yield made
    made.close()


def test_what_is_written_is_read_back(store: KeptEvents, clock: Clock) -> None:
    whole = event(
        clock.now, 7, response_time_ms=1.5, error="x", metadata={"request": "r", "n": [1]}, weight=10
    )
    events = [event(clock.now, 1), whole, event(clock.now + 1, 2)]
    assert store.append(events) == 3
    assert list(store.read(0, float("inf"))) == events
    assert list(store.read(clock.now + 1, clock.now + 2)) == events[2:]
    assert list(store.read(0, clock.now)) == []
    assert store.stored_bytes() > 0


def test_nothing_is_no_transaction(store: KeptEvents) -> None:
    assert store.append([]) == 0
    assert list(store.read(0, 1e12)) == []


def test_a_reader_in_another_process_sees_what_a_writer_has_open(store: KeptEvents, clock: Clock) -> None:
    store.append([event(clock.now, 1)])
    assert [one.data_size_bytes for one in kept.read(store.folder)] == [1]
    store.append([event(clock.now, 2)])
    assert [one.data_size_bytes for one in kept.read(store.folder)] == [1, 2]


def test_it_goes_on_after_a_restart(store: KeptEvents, clock: Clock) -> None:
    store.append([event(clock.now, 1)])
    store.close()
    again = KeptEvents(store.folder, max_bytes=4 * 1024 * 1024, max_age_s=8 * DAY, clock=clock)
    again.append([event(clock.now, 2)])
    again.close()
    assert len(again.files()) == 1
    assert [one.data_size_bytes for one in kept.read(store.folder)] == [1, 2]


def test_it_is_bounded_by_size(store: KeptEvents, clock: Clock) -> None:
    for n in range(120):
        clock.now += 1
        store.append([event(clock.now, n, metadata={"text": "x" * 90_000})])
        assert store.stored_bytes() < 5 * 1024 * 1024
    sizes = [one.data_size_bytes for one in store.read(0, 1e12)]
    assert sizes == list(range(120 - len(sizes), 120))
    assert 20 < len(sizes) < 60


def test_it_is_bounded_by_age(store: KeptEvents, clock: Clock) -> None:
    for day in range(30):
        store.append([event(clock.now, day)])
        clock.now += DAY
    days = [one.data_size_bytes for one in store.read(0, 1e12)]
    assert days == list(range(30 - len(days), 30))
    assert 8 <= len(days) <= 10


def test_a_clock_that_is_set_back_loses_nothing(store: KeptEvents, clock: Clock) -> None:
    began = clock.now
    store.append([event(began, 1)])
    clock.now = began - 3600
    store.append([event(clock.now, 2), event(clock.now + 1, 3)])
    assert [one.data_size_bytes for one in store.read(0, 1e12)] == [1, 2, 3]
    assert [one.data_size_bytes for one in store.read(began - 3600, began)] == [2, 3]
    assert [one.data_size_bytes for one in store.read(began, 1e12)] == [1]


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(st.lists(st.floats(min_value=0, max_value=1000), max_size=5), max_size=8),
    since=st.floats(min_value=0, max_value=1000),
    length=st.floats(min_value=0, max_value=1000),
    steps=st.lists(st.floats(min_value=-300, max_value=300), min_size=8, max_size=8),
)
def test_any_interval_of_any_order(
    batches: list[list[float]],
    since: float,
    length: float,
    steps: list[float],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    clock = Clock(500.0)
    store = KeptEvents(tmp_path_factory.mktemp("kept"), max_bytes=2**40, max_age_s=800.0, clock=clock)
    written: list[Event] = []
    for times, step in zip(batches, steps, strict=False):
        new = [event(second, len(written) + n) for n, second in enumerate(times)]
        store.append(new)
        written += new
        clock.now = max(1.0, min(700.0, clock.now + step))  # within the age: nothing is forgotten
    store.close()
    wanted = [one for one in written if since <= one.timestamp < since + length]
    assert list(kept.read(store.folder, since, since + length)) == wanted


def test_a_damaged_file_is_set_aside_and_named(store: KeptEvents, clock: Clock) -> None:
    store.append([event(clock.now, 1)])
    store.close()
    (path,) = store.files()
    path.write_bytes(b"this is no database" * 1000)
    clock.now += 1
    store.append([event(clock.now, 2)])
    assert store.set_aside == [path.with_suffix(".damaged").name]
    assert [one.data_size_bytes for one in store.read(0, 1e12)] == [2]


def test_a_damaged_file_cannot_be_read_and_is_named(store: KeptEvents, clock: Clock) -> None:
    store.append([event(clock.now, 1)])
    store.close()
    (path,) = store.files()
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(StorageError, match=path.name):
        list(kept.read(store.folder))


def test_a_folder_that_is_removed_is_made_again(store: KeptEvents, clock: Clock) -> None:
    store.append([event(clock.now, 1)])
    for path in store.folder.iterdir():
        path.unlink()
    store.folder.rmdir()
    store.append([event(clock.now, 2)])
    assert [one.data_size_bytes for one in store.read(0, 1e12)] == [2]


def test_a_full_disk_loses_no_batch(store: KeptEvents, clock: Clock) -> None:
    store.append([event(clock.now, 1)])
    assert store._connection is not None
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    batch = [event(clock.now, n, metadata={"text": "x" * 5000}) for n in range(2, 9)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.append(batch)
    assert [one.data_size_bytes for one in store.read(0, 1e12)] == [1]
    store.append(batch)
    assert [one.data_size_bytes for one in store.read(0, 1e12)] == list(range(1, 9))


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError


def test_metadata_that_cannot_be_written_costs_no_event(store: KeptEvents, clock: Clock) -> None:
    store.append([event(clock.now, 1, metadata={"it": Unspeakable()})])
    (read,) = store.read(0, 1e12)
    assert read.metadata == {"unencodable": "RuntimeError"}


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("error", "a \ud800", "a ?"),
        ("data_size_bytes", 2**70, 2**63 - 1),
        ("script_name", Path, "type"),
        ("response_time_ms", 2.5, 2.5),
    ],
)
def test_a_value_that_sqlite_has_not_costs_no_event(
    store: KeptEvents, clock: Clock, field: str, value: Any, read: Any
) -> None:
    store.append([event(clock.now, 1), event(clock.now, 2)._replace(**{field: value}), event(clock.now, 3)])
    first, second, third = store.read(0, 1e12)
    assert getattr(second, field) == read
    assert (first.data_size_bytes, third.data_size_bytes) == (1, 3)


@settings(max_examples=40, deadline=None)
@given(ids=st.lists(st.text(max_size=6), min_size=1, max_size=6), asked=st.text(max_size=3))
def test_a_beginning_finds_all_that_begin_so(
    ids: list[str], asked: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = KeptEvents(tmp_path_factory.mktemp("kept"), max_bytes=2**40, max_age_s=1e9)
    store.append([event(1.0, n, metadata={"tool": "x", "request": one}) for n, one in enumerate(ids)])
    store.close()
    found = {one.data_size_bytes for one in kept.read(store.folder, holding=kept.holding("request", asked))}
    assert found >= {n for n, one in enumerate(ids) if one.startswith(asked)}


def test_metadata_that_is_no_json_is_told_with_its_file(store: KeptEvents, clock: Clock) -> None:
    store.append([event(clock.now, metadata={"a": 1})])
    store.close()
    (path,) = store.files()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE events SET metadata = '{'")
    with pytest.raises(StorageError, match=path.name):
        list(kept.read(store.folder))


def test_files_are_for_their_owner_alone(store: KeptEvents, clock: Clock) -> None:
    store.append([event(clock.now)])
    assert store.folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in store.folder.iterdir())
