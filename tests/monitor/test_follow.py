from __future__ import annotations

import asyncio
import threading

from exai_ops.monitor.follow import next_batch
from exai_ops.monitor.recorder import Monitor

DEADLINE_S = 20.0


def put(monitor: Monitor, n: int) -> None:
    monitor.record("websocket", "send", script_name="test", function_name="f", data_size_bytes=n)


async def test_events_that_are_there_come_at_once() -> None:
    monitor = Monitor()
    put(monitor, 1)
    batch = await next_batch(monitor, 0, timeout_s=DEADLINE_S)
    assert [event.data_size_bytes for event in batch.events] == [1]


async def test_nothing_comes_before_the_deadline() -> None:
    monitor = Monitor()
    put(monitor, 1)
    batch = await next_batch(monitor, 1, timeout_s=0.001)
    assert (batch.events, batch.sequence, batch.missed) == ([], 1, 0)
    assert not monitor._wakes


async def test_an_event_wakes_every_reader() -> None:
    monitor = Monitor()
    readers = [asyncio.create_task(next_batch(monitor, 0, timeout_s=DEADLINE_S)) for _ in range(8)]
    await asyncio.sleep(0)  # each runs up to its wait
    assert len(monitor._wakes) == 8
    put(monitor, 1)
    for batch in await asyncio.gather(*readers):
        assert [event.data_size_bytes for event in batch.events] == [1]


async def test_a_cancelled_reader_leaves_nothing_behind() -> None:
    monitor = Monitor()
    reader = asyncio.create_task(next_batch(monitor, 0, timeout_s=DEADLINE_S))
    await asyncio.sleep(0)
    assert len(monitor._wakes) == 1
    reader.cancel()
    await asyncio.wait((reader,), timeout=DEADLINE_S)
    assert reader.cancelled()
    assert not monitor._wakes


async def test_every_event_of_another_thread_arrives_once_and_in_order() -> None:
    monitor = Monitor(capacity=100_000)

    def write() -> None:
        for n in range(20_000):
            put(monitor, n)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    got: list[int] = []
    async with asyncio.timeout(DEADLINE_S):
        sequence = 0
        while len(got) < 20_000:
            batch = await next_batch(monitor, sequence, timeout_s=DEADLINE_S)
            sequence = batch.sequence
            got.extend(event.data_size_bytes for event in batch.events)
    thread.join(DEADLINE_S)
    assert got == list(range(20_000))
