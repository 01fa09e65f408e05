"""The keeper: what the monitor has is on disk, a failing disk is told, nothing else is held up."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from exai_ops.daemon.event_keeper import EventKeeper
from exai_ops.monitor import kept
from exai_ops.monitor.events import Event
from exai_ops.monitor.kept import KeptEvents
from exai_ops.monitor.recorder import Monitor


def put(monitor: Monitor, size: int) -> None:
    monitor.record("websocket", "send", script_name="t", function_name="f", data_size_bytes=size)


def store_at(folder: Path) -> KeptEvents:
    return KeptEvents(folder, max_bytes=2**30, max_age_s=1e6)


def test_all_that_was_recorded_is_kept_in_the_end(tmp_path: Path) -> None:
    monitor = Monitor()
    put(monitor, 1)
    keeper = EventKeeper(monitor, store_at(tmp_path))
    keeper.start()
    put(monitor, 2)
    assert keeper.stop()
    assert [one.data_size_bytes for one in kept.read(tmp_path)] == [1, 2]
    assert keeper.as_dict()["failure"] is None
    assert keeper.missed == 0


def test_what_left_the_buffer_before_it_was_written_is_counted(tmp_path: Path) -> None:
    monitor = Monitor(capacity=10)
    for n in range(25):
        put(monitor, n)
    keeper = EventKeeper(monitor, store_at(tmp_path))
    keeper.start()
    assert keeper.stop()
    assert keeper.missed == 15
    assert [one.data_size_bytes for one in kept.read(tmp_path)] == list(range(15, 25))


class Failing(KeptEvents):
    """A disk that fails until it is mended."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, max_bytes=2**30, max_age_s=1e6)
        self.broken = True
        self.tried = threading.Event()

    def append(self, events: list[Event]) -> int:  # type: ignore[override]
        self.tried.set()
        if self.broken:
            raise OSError(28, "No space left on device")
        return super().append(events)


def test_a_disk_that_fails_is_told_and_nothing_is_lost_once_it_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = Monitor()
    put(monitor, 1)
    store = Failing(tmp_path)
    keeper = EventKeeper(monitor, store)
    keeper.start()
    assert store.tried.wait(10)
    store.broken = False
    put(monitor, 2)
    assert keeper.stop()
    assert [one.data_size_bytes for one in kept.read(tmp_path)] == [1, 2]
    assert keeper.failure == ""
