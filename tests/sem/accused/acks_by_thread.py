"""A thread waits for acknowledgements and gives a permit back for each; a timer brings them."""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row

WINDOW = threading.BoundedSemaphore(4)


def acknowledge(acks: queue.Queue[int]) -> None:
    while True:
        acks.get()
        WINDOW.release()


async def main() -> None:
    acks: queue.Queue[int] = queue.Queue()
    threading.Thread(target=acknowledge, args=(acks,), daemon=True).start()
    loop = asyncio.get_running_loop()
    for number in range(3):
        WINDOW.acquire()
        loop.call_later(600, acks.put, number)
    await live(row(WINDOW, "WINDOW", 4, "busy", holders=3))


asyncio.run(main())
