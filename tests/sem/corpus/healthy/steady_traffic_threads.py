"""Threads take and give permits of a bounded threading semaphore all the time."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live_threads, row


class Printer:
    def __init__(self, trays: int) -> None:
        self.trays = threading.BoundedSemaphore(trays)
        self.pages = 0
        self._count = threading.Lock()

    def print_page(self) -> None:
        with self.trays:
            time.sleep(0.002)
            with self._count:
                self.pages += 1

    def spool(self) -> None:
        while True:
            self.print_page()
            time.sleep(0.001)


def main() -> None:
    printer = Printer(3)
    spoolers = [threading.Thread(target=printer.spool, name=f"spool-{n}", daemon=True) for n in range(4)]
    for spooler in spoolers:
        spooler.start()
    while printer.pages < 10:
        time.sleep(0.001)
    allowed = ("idle", "busy", "saturated")
    live_threads(row(printer.trays, "Printer.trays", 3, "busy", allowed=allowed, working=True))


main()
