"""A bounded executor gives the permit back inside the job: jobs cancelled in the queue keep theirs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live_threads, row


class BoundedExecutor:
    def __init__(self, threads: int, queued: int) -> None:
        self._room = threading.BoundedSemaphore(threads + queued)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bounded")

    def submit(self, job: Callable[[], None]) -> Future[None]:
        self._room.acquire()
        return self._pool.submit(self._run, job)

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        finally:
            self._room.release()


def main() -> None:
    executor = BoundedExecutor(1, 5)
    started, go_on = threading.Event(), threading.Event()

    def export() -> None:
        started.set()
        go_on.wait()

    exporting = executor.submit(export)
    started.wait()
    mails = [executor.submit(lambda: None) for _ in range(4)]
    cancelled = sum(mail.cancel() for mail in mails)
    live_threads(
        row(
            executor._room,
            "BoundedExecutor._room",
            6,
            "leaked",
            count=cancelled,
            holders=int(exporting.running()),
        )
    )


main()
