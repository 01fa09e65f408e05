"""A license pool: the branch after acquire(timeout=...) is the wrong way round for trial users."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live_threads, row


class Licenses:
    def __init__(self, seats: int) -> None:
        self.seats = threading.BoundedSemaphore(seats)
        self.refused: list[str] = []

    def open(self, user: str, trial: bool) -> bool:
        got = self.seats.acquire(timeout=0.01)
        if not got or trial:
            self.refused.append(user)  # a trial user is refused, and the seat was taken
            return False
        return True

    def close(self) -> None:
        self.seats.release()


class Editor(threading.Thread):
    def __init__(self, licenses: Licenses, user: str, trial: bool, work: threading.Event) -> None:
        super().__init__(name=f"editor-{user}", daemon=True)
        self.licenses, self.user, self.trial, self.work = licenses, user, trial, work
        self.decided = threading.Event()

    def run(self) -> None:
        opened = self.licenses.open(self.user, self.trial)
        self.decided.set()
        if opened:
            try:
                self.work.wait()
            finally:
                self.licenses.close()


def main() -> None:
    licenses, work = Licenses(5), threading.Event()
    editors = [
        Editor(licenses, name, name.startswith("trial"), work)
        for name in ("ada", "trial-1", "bob", "trial-2")
    ]
    for editor in editors:
        editor.start()
        editor.decided.wait()
    lost = len(licenses.refused)
    live_threads(row(licenses.seats, "Licenses.seats", 5, "leaked", count=lost, holders=len(editors) - lost))


main()
