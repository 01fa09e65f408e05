"""Worker threads of a bounded pool die of a bad job between acquire and release."""

from __future__ import annotations

import queue
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live_threads, row


class Indexer:
    def __init__(self, parallel: int) -> None:
        self.disk = threading.BoundedSemaphore(parallel)
        self.jobs: queue.Queue[str | None] = queue.Queue()
        self.indexed: list[str] = []

    def work(self) -> None:
        while (job := self.jobs.get()) is not None:
            self.disk.acquire()
            self.indexed.append(self.read(job))
            self.disk.release()

    def read(self, job: str) -> str:
        if "\0" in job:
            raise ValueError("embedded null byte")
        return job.upper()


def main() -> None:
    died: list[str] = []
    threading.excepthook = lambda args: died.append(str(args.exc_value))  # the service notes it and goes on
    indexer = Indexer(6)
    threads = [threading.Thread(target=indexer.work, name=f"indexer-{n}", daemon=True) for n in range(4)]
    for thread in threads:
        thread.start()
    for job in ("a.txt", "b\0.txt", "c.txt", "d\0.txt", "e\0.txt", "f.txt"):
        indexer.jobs.put(job)
    for _ in threads:
        indexer.jobs.put(None)
    for thread in threads:
        thread.join()
    live_threads(row(indexer.disk, "Indexer.disk", 6, "leaked", count=len(died)))


main()
