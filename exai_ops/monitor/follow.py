"""Waiting for the next events in asyncio: pushed, not polled, and at no cost to whoever records."""

from __future__ import annotations

import asyncio

from exai_ops.monitor.recorder import Batch, Monitor


async def next_batch(monitor: Monitor, sequence: int, *, timeout_s: float) -> Batch:
    """The events after number ``sequence``, as soon as there are any; an empty batch after ``timeout_s``.

    A reader that is slow finds what it missed counted in the batch. Cancellation safe: nothing is
    consumed, asking again with the same number gives the same events.
    """
    try:
        async with asyncio.timeout(timeout_s):
            while not monitor.sequence > sequence:
                await _woken(monitor, sequence)
    except TimeoutError:
        pass
    return monitor.since(sequence)


async def _woken(monitor: Monitor, sequence: int) -> None:
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(event.set)

    monitor.on_next(wake)
    try:
        if monitor.sequence <= sequence:  # an event recorded before on_next wakes nobody
            await event.wait()
    finally:
        monitor.forget(wake)
