"""A supervisor gives back the permits of slow workers that it takes for dead; so do they."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live_threads, row


class Farm:
    def __init__(self, workers: int) -> None:
        self.busy = threading.Semaphore(workers)
        self.beats: dict[str, bool] = {}
        self.revived: list[str] = []

    def work(self, name: str, began: threading.Event, done: threading.Event) -> None:
        with self.busy:
            self.beats[name] = not name.startswith("slow")
            began.set()
            done.wait()

    def supervise(self) -> None:
        for name, beats in self.beats.items():
            if not beats:
                self.busy.release()
                self.revived.append(name)


def main() -> None:
    farm = Farm(4)
    done = threading.Event()
    threads = []
    for name in ("slow-1", "quick", "slow-2"):
        began = threading.Event()
        threads.append(threading.Thread(target=farm.work, args=(name, began, done), name=name, daemon=True))
        threads[-1].start()
        began.wait()
    farm.supervise()
    done.set()
    for thread in threads:
        thread.join()
    live_threads(row(farm.busy, "Farm.busy", 4, "over-released", count=len(farm.revived)))


main()
