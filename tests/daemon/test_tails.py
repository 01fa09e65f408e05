"""What clients of ``/events`` are sent, over wires that take as much as a test lets them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from exai_ops.daemon.event_backlog import Backlog, KeptEvents
from exai_ops.daemon.event_chunks import CHUNK_EVENTS, KEEP_EVENTS, Chunk, Chunks, on_wire
from exai_ops.daemon.tails import Tail, Tails
from exai_ops.errors import StorageError
from exai_ops.monitor.events import Event
from exai_ops.monitor.filters import compiled
from exai_ops.monitor.recorder import Monitor
from exai_ops.monitor.wire import Filter, Subscribe

SOON_S = 10.0
STREAM = "this-life"
Frame = dict[str, Any]


def unframed(data: bytes) -> Iterator[Frame]:
    """The messages in what a server sent: unmasked text frames (RFC 6455 section 5.2)."""
    while data:
        assert data[0] == 0x81
        length, begin = data[1], 2
        if length == 126:
            length, begin = int.from_bytes(data[2:4]), 4
        elif length == 127:
            length, begin = int.from_bytes(data[2:10]), 10
        yield json.loads(data[begin : begin + length])
        data = data[begin + length :]


class Line:
    """A wire: what it took, and whether it takes more."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.open = True
        self.gone = False
        self.changed = asyncio.Event()

    def write_raw(self, frames: bytes) -> bool:
        if self.open and not self.gone:
            self.raw.append(frames)
            self.changed.set()
        return self.open and not self.gone

    async def wait_writable(self) -> bool:
        while not self.open and not self.gone:
            self.changed.clear()
            await self.changed.wait()
        return not self.gone

    def abort(self) -> None:
        self.gone = True

    def block(self, blocked: bool = True) -> None:
        self.open = not blocked
        self.changed.set()

    @property
    def frames(self) -> list[Frame]:
        return [frame for data in self.raw for frame in unframed(data)]

    @property
    def sizes(self) -> list[int]:
        """The events, each by its size, in order."""
        return [event["data_size_bytes"] for frame in self.frames for event in frame.get("events", ())]

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(SOON_S):
            while not true():
                self.changed.clear()
                await self.changed.wait()


class Room:
    """Tails over a monitor."""

    def __init__(self, capacity: int = 100_000) -> None:
        self.monitor = Monitor(capacity)
        self.states = 0
        self.tails = Tails(self.monitor, self._state)
        self._recorded = 0

    def _state(self) -> Any:
        self.states += 1
        return {"op": "state", "number": self.states}

    def record(self, count: int = 1, **fields: Any) -> None:
        """Events whose sizes count from 1."""
        for _ in range(count):
            self._recorded += 1
            names: Any = {"connection_type": "kimi", "direction": "send", "script_name": "s"}
            names |= {"function_name": "f", "data_size_bytes": self._recorded, **fields}
            self.monitor.record(names.pop("connection_type"), names.pop("direction"), **names)

    def join(self, wanted: Filter | None = None) -> tuple[Tail, Line]:
        line = Line()
        tail = self.tails.join(line)
        tail.filter = wanted or Filter()
        tail.matcher = compiled(tail.filter)
        tail.position = self.tails.take()
        self.tails.go_live(tail)
        return tail, line


@asynccontextmanager
async def room(capacity: int = 100_000) -> AsyncIterator[Room]:
    made = Room(capacity)
    yield made
    for tail in list(made.tails._tails):
        made.tails.leave(tail)
    assert not made.monitor._wakes, "nobody is left who waits for events"
    assert made.tails._timer is None


# --- pushing --------------------------------------------------------------------------------


async def test_an_event_comes_by_itself_and_exported() -> None:
    async with room() as here:
        _, line = here.join()
        here.record(error="HTTP 500", metadata={"session": "s1"})
        await line.until(lambda: line.frames)
        (frame,) = line.frames
        assert (frame["op"], frame["sequence"]) == ("events", 1)
        assert frame["events"] == [here.monitor.recent()[0].exported()]


async def test_what_is_encoded_once_goes_to_all() -> None:
    async with room() as here:
        lines = [here.join()[1] for _ in range(8)]
        here.record(100)
        for line in lines:
            await line.until(lambda line=line: len(line.sizes) == 100)  # type: ignore[misc]
        assert all(line.sizes == [*range(1, 101)] for line in lines)
        assert len({id(data) for line in lines for data in line.raw}) == len(lines[0].raw)


async def test_events_of_other_threads_come_all_and_in_order() -> None:
    async with room() as here:
        _, line = here.join()
        _, other = here.join(Filter(directions=("send",)))
        thread = threading.Thread(target=here.record, args=(8_000,))
        thread.start()
        for one in (line, other):
            await one.until(lambda one=one: len(one.sizes) == 8_000)  # type: ignore[misc]
            assert one.sizes == [*range(1, 8_001)]
        assert max(len(frame["events"]) for frame in line.frames) <= CHUNK_EVENTS
        thread.join()


async def test_a_filter_lets_through_what_fits() -> None:
    async with room() as here:
        _, errors = here.join(Filter(errors=True))
        _, grep = here.join(Filter(grep=("wor.d",)))
        _, both = here.join()
        here.record(3)
        here.record(error="hello world")
        here.record(direction="reject")
        await both.until(lambda: len(both.sizes) == 5)
        assert (errors.sizes, grep.sizes) == ([4, 5], [4])
        assert errors.frames[-1]["sequence"] == 5


async def test_who_gets_nothing_is_told_how_far_it_is() -> None:
    async with room() as here:
        tail, line = here.join(Filter(errors=True))
        tail._sent_at = -1000.0
        here.record(7)
        await line.until(lambda: line.frames)
        assert line.frames == [{"op": "events", "sequence": 7, "events": []}]


async def test_recording_costs_nothing_more_while_events_come() -> None:
    async with room() as here:
        _, line = here.join()
        assert len(here.monitor._wakes) == 1, "at rest, the next event wakes"
        here.record()
        await line.until(lambda: line.sizes)
        assert not here.monitor._wakes, "then the clock looks"
        here.record(5)
        await line.until(lambda: len(line.sizes) == 6)
        assert not here.monitor._wakes
        while (timer := here.tails._timer) is not None:  # until it finds nothing new
            timer.cancel()
            here.tails._on_time()
        assert len(here.monitor._wakes) == 1


# --- slow clients ---------------------------------------------------------------------------


async def test_a_slow_client_loses_its_own_events_and_is_told() -> None:
    async with room() as here:
        _, slow = here.join()
        _, quick = here.join()
        here.record(10)
        await quick.until(lambda: len(quick.sizes) == 10)
        slow.block()
        lost = KEEP_EVENTS + 5 * CHUNK_EVENTS
        for _ in range(0, lost, CHUNK_EVENTS):
            here.record(CHUNK_EVENTS)
            here.tails.take()
            await asyncio.sleep(0)
        await quick.until(lambda: len(quick.sizes) == 10 + lost)
        slow.block(False)
        await slow.until(lambda: len(slow.frames) > 2)
        dropped = next(frame for frame in slow.frames if frame["op"] == "dropped")
        await slow.until(lambda: slow.sizes[-1] == 10 + lost)
        assert dropped["count"] == 5 * CHUNK_EVENTS
        assert slow.sizes == [*range(1, 11), *range(11 + dropped["count"], 11 + lost)]
        assert dropped["sequence"] == 10 + dropped["count"]
        assert here.tails.dropped == dropped["count"]
        assert quick.sizes == [*range(1, 11 + lost)]


async def test_a_client_that_is_a_little_behind_loses_nothing() -> None:
    async with room() as here:
        _, line = here.join()
        for blocked in (True, False) * 3:
            line.block(blocked)
            here.record(700)
            here.tails.take()
            await asyncio.sleep(0)
        await line.until(lambda: len(line.sizes) == 4200)
        assert line.sizes == [*range(1, 4201)]
        assert here.tails.dropped == 0


async def test_what_left_the_ring_before_it_was_taken_is_a_gap_for_all() -> None:
    async with room(capacity=100) as here:
        _, line = here.join()
        _, other = here.join(Filter(types=("kimi",)))
        here.record(250)
        for one in (line, other):
            await one.until(lambda one=one: one.sizes)  # type: ignore[misc]
            assert one.frames[0] == {"op": "gap", "reason": "expired", "missed": 150}
            assert one.sizes == [*range(151, 251)]


async def test_a_client_that_is_gone_leaves_nothing_behind() -> None:
    async with room() as here:
        tail, line = here.join()
        line.block()
        here.record()
        here.tails.take()
        line.abort()
        line.block(False)
        here.tails.leave(tail)
        here.record(10)
        assert len(here.tails) == 0
        _, again = here.join()
        here.record()
        await again.until(lambda: again.sizes)
        assert again.sizes == [12]


def test_what_is_kept_for_slow_clients_is_bounded_by_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exai_ops.daemon.event_chunks.KEEP_BYTES", 100_000)
    big = Event(1.0, "kimi", "send", "s", "f", metadata={"x": "y" * 1000})
    chunks = Chunks(0)
    for last in range(10, 1001, 10):
        chunk = Chunk([big] * 10, last)
        chunks.add(chunk)
        assert chunk.frame(Filter(), compiled(Filter()))
        chunks.settle()
    kept = list(chunks.after(0))
    assert 1 < len(kept) < 10
    assert (chunks.start, chunks.sequence, kept[0].before) == (1000 - 10 * len(kept), 1000, chunks.start)


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 200_000])
def test_a_frame_of_any_length_is_read_as_it_was_written(size: int) -> None:
    text = json.dumps({"x": "a" * size})
    assert list(unframed(on_wire(text.encode()) * 2)) == [json.loads(text)] * 2


# --- state ----------------------------------------------------------------------------------


async def test_the_state_is_made_once_for_all() -> None:
    async with room() as here:
        pairs = [here.join() for _ in range(5)]
        for tail, _ in pairs:
            here.tails.want_state(tail, 1.0)
        assert here.states == 1
        here.tails._state = None
        here.tails._ticking.cancel()  # type: ignore[union-attr]
        for tail, _ in pairs:
            tail._state_at = 0.0
        here.tails._tick()
        assert here.states == 2
        assert all([frame["number"] for frame in line.frames] == [1, 2] for _, line in pairs)
        here.tails.want_state(pairs[0][0], 0.0)
        here.tails._ticking.cancel()  # type: ignore[union-attr]


# --- what comes first -----------------------------------------------------------------------


class Kept:
    """Events on disk."""

    def __init__(self, events: list[Event], error: Exception | None = None) -> None:
        self.asked: list[tuple[float, float]] = []
        self.threads: set[int] = set()
        self.closed = False
        self._events = events
        self._error = error

    def read(self, since_s: float, until_s: float) -> Iterator[Event]:
        self.asked.append((since_s, until_s))
        try:
            for event in self._events:
                self.threads.add(threading.get_ident())
                if since_s <= event.timestamp < until_s:
                    yield event
            if self._error is not None:
                raise self._error
        finally:
            self.closed = True


def at(timestamp: float, size: int, error: str | None = None) -> Event:
    return Event(timestamp, "kimi", "send", "s", "f", data_size_bytes=size, error=error)


def ticking(events: int, capacity: int = 1000) -> Monitor:
    """A monitor that has recorded so many, one a second from second 1001 on, sizes from 1."""
    now = iter(range(1001, 100_000))
    monitor = Monitor(capacity, clock=lambda: float(next(now)))
    for size in range(1, events + 1):
        monitor.record("kimi", "send", script_name="s", function_name="f", data_size_bytes=size)
    assert monitor.sequence == events
    return monitor


async def said(
    monitor: Monitor, wanted: Subscribe, kept: KeptEvents | None = None, position: int = 0
) -> tuple[list[Frame], Backlog]:
    backlog = Backlog(monitor, STREAM, 1000.5, kept)
    frames = backlog.frames(wanted, compiled(wanted.filter), position)
    return [frame async for data in frames for frame in unframed(data)], backlog


def seen(frames: list[Frame]) -> list[Any]:
    """Sizes of events, and what is no event."""
    found: list[Any] = []
    for frame in frames:
        if frame["op"] == "events":
            found += [event["data_size_bytes"] for event in frame["events"]]
        else:
            found.append({key: value for key, value in frame.items() if key != "op"})
    return found


RESTARTED = {"reason": "restarted", "missed": None}
OLD = [at(float(990 + n), 90 + n) for n in range(10)]


@pytest.mark.parametrize(
    ("wanted", "capacity", "kept", "expected"),
    [
        (Subscribe(), 1000, None, []),
        (Subscribe(last=3), 1000, None, [8, 9, 10]),
        (Subscribe(last=99), 1000, None, [*range(1, 11)]),
        (Subscribe(stream=STREAM, after=7), 1000, None, [8, 9, 10]),
        (Subscribe(stream=STREAM, after=10), 1000, None, []),
        (Subscribe(stream=STREAM, after=99), 1000, None, []),
        (Subscribe(stream=STREAM, after=2), 5, None, [{"reason": "expired", "missed": 3}, 6, 7, 8, 9, 10]),
        (Subscribe(stream="other", after=7), 1000, None, [RESTARTED, *range(1, 11)]),
        (
            Subscribe(stream="other", after=7),
            5,
            None,
            [RESTARTED, {"reason": "expired", "missed": 5}, 6, 7, 8, 9, 10],
        ),
        (Subscribe(since=1008.0), 1000, None, [8, 9, 10]),
        (Subscribe(since=1008.0), 5, None, [8, 9, 10]),
        (Subscribe(since=1003.0), 5, None, [{"reason": "expired", "missed": None}, 6, 7, 8, 9, 10]),
        (Subscribe(since=990.0), 1000, None, [RESTARTED, *range(1, 11)]),
        (Subscribe(since=997.0), 1000, OLD, [97, 98, 99, *range(1, 11)]),
        (Subscribe(stream="other", after=7, since=998.0), 1000, OLD, [RESTARTED, 98, 99, *range(1, 11)]),
        (Subscribe(stream=STREAM, after=0, since=998.0), 1000, OLD, [98, 99, *range(1, 11)]),
        (Subscribe(stream=STREAM, after=2, since=1003.0), 5, [at(1003.5, 3)], [3, 6, 7, 8, 9, 10]),
    ],
)
async def test_a_client_begins_where_it_wants(
    wanted: Subscribe, capacity: int, kept: list[Event] | None, expected: list[Any]
) -> None:
    store = None if kept is None else Kept(kept)
    frames, backlog = await said(ticking(10, capacity), wanted, store, position=10)
    assert seen(frames) == expected
    assert backlog.position == 10
    if store is not None:
        assert store.closed
        assert len(store.threads) == 1
        assert threading.get_ident() not in store.threads


async def test_the_past_is_filtered_too() -> None:
    monitor = ticking(5000, 6000)
    monitor.record("glm", "error", script_name="s", function_name="f", data_size_bytes=7)
    wanted = Filter(errors=True)
    for first in ({"last": 5}, {"since": 1001.0}, {"stream": STREAM, "after": 0}):
        frames, backlog = await said(monitor, Subscribe(filter=wanted, **first))
        assert seen(frames) == [7]
        assert backlog.position == 5001
    store = Kept([at(990.0, 1), at(991.0, 2, error="x")])
    frames, _ = await said(ticking(1), Subscribe(filter=wanted, since=1.0), store)
    assert seen(frames) == [2]


async def test_each_frame_says_how_far_it_goes() -> None:
    frames, _ = await said(ticking(1200, 2000), Subscribe(stream=STREAM, after=10))
    assert [(f["sequence"], f["events"][-1]["data_size_bytes"]) for f in frames] == [
        (522, 522),
        (1034, 1034),
        (1200, 1200),
    ]
    frames, _ = await said(ticking(3), Subscribe(since=990.0), Kept(OLD))
    assert [frame["sequence"] for frame in frames] == [0, 3]


@pytest.mark.parametrize("error", [sqlite3.DatabaseError("malformed"), OSError(5, "I/O"), StorageError("x")])
async def test_what_cannot_be_read_is_said_and_the_rest_comes(error: Exception) -> None:
    frames, _ = await said(ticking(2), Subscribe(since=990.0), Kept(OLD[:1], error))
    problem = {"message": f"kept events cannot be read: {error}"}
    assert seen(frames) == [problem, 1, 2]
