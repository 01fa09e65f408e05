"""The classic buffer of two semaphores, free places and filled ones: another thread raises each."""

from __future__ import annotations

import sys
import threading
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live_threads, row


class Buffer:
    def __init__(self, places: int) -> None:
        self.free = threading.Semaphore(places)
        self.filled = threading.Semaphore(0)
        self.items: deque[str] = deque()

    def put(self, item: str) -> None:
        self.free.acquire()
        self.items.append(item)
        self.filled.release()

    def get(self) -> str:
        self.filled.acquire()
        item = self.items.popleft()
        self.free.release()
        return item


def consume(buffer: Buffer, first: int, paused: threading.Event) -> None:
    for _ in range(first):
        buffer.get()
    paused.set()
    threading.Event().wait()


def main() -> None:
    buffer, paused = Buffer(8), threading.Event()
    threading.Thread(target=consume, args=(buffer, 10, paused), name="consumer", daemon=True).start()
    for n in range(13):
        buffer.put(f"sample {n}")
    paused.wait()
    left = len(buffer.items)
    any_of = ("idle", "busy", "saturated")
    live_threads(
        row(
            buffer.free,
            "Buffer.free",
            8,
            "busy",
            holders=left,
            note="held by the items that lie in the buffer",
        ),
        row(buffer.filled, "Buffer.filled", 0, "idle", counter=True, allowed=any_of, note="a signal"),
    )


main()
