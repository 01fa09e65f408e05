"""Threads hold a permit of threading.Semaphore and wait at a queue for more work: busy, and quite still."""

from __future__ import annotations

import queue
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live_threads, row


class Line:
    """A production line: as many stations may be manned as the semaphore says."""

    def __init__(self, stations: int) -> None:
        self.stations = threading.Semaphore(stations)
        self.parts: queue.Queue[str] = queue.Queue()
        self.made: list[str] = []

    def shift(self, manned: threading.Event) -> None:
        with self.stations:
            manned.set()
            while (part := self.parts.get()) != "end of shift":
                self.made.append(part)
                self.parts.task_done()
        self.parts.task_done()


def main() -> None:
    line = Line(4)
    workers = []
    for n in range(3):
        manned = threading.Event()
        workers.append(threading.Thread(target=line.shift, args=(manned,), name=f"worker-{n}", daemon=True))
        workers[-1].start()
        manned.wait()
    for part in ("bolt", "nut", "end of shift", "washer"):
        line.parts.put(part)
    line.parts.join()
    while sum(worker.is_alive() for worker in workers) > 2:
        workers[0].join(0.005)
    live_threads(row(line.stations, "Line.stations", 4, "busy", holders=2))


main()
