"""A socket brings acknowledgements, a task that waits in a queue gives permits back."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row


async def settle(acks: asyncio.Queue[bytes], window: asyncio.BoundedSemaphore) -> None:
    while True:
        await acks.get()
        window.release()


async def main() -> None:
    window: asyncio.BoundedSemaphore = asyncio.BoundedSemaphore(4)
    acks: asyncio.Queue[bytes] = asyncio.Queue()
    ours, theirs = socket.socketpair()
    asyncio.get_running_loop().add_reader(ours, lambda: acks.put_nowait(ours.recv(1)))
    task = asyncio.create_task(settle(acks, window))
    for _ in range(2):
        await window.acquire()
    await live(row(window, "window", 4, "busy", holders=2))
    assert task
    assert theirs


asyncio.run(main())
