"""threading.Timer objects, each a thread asleep, give a login's permit back after the penalty."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live_threads, row


class LoginGuard:
    """At most so many failed logins may be serving their penalty."""

    def __init__(self, penalties: int) -> None:
        self._penalties = threading.BoundedSemaphore(penalties)
        self._timers: dict[str, threading.Timer] = {}

    def failed(self, address: str, penalty_s: float) -> bool:
        if not self._penalties.acquire(blocking=False):
            return False
        timer = self._timers[address] = threading.Timer(penalty_s, self._penalties.release)
        timer.daemon = True
        timer.start()
        return True

    def forgive(self, address: str) -> None:
        timer = self._timers.pop(address)
        timer.cancel()
        self._penalties.release()

    def serving(self) -> int:
        return sum(timer.is_alive() for timer in self._timers.values())


def main() -> None:
    guard = LoginGuard(4)
    for n, penalty_s in enumerate((600, 0.001, 900, 1200)):
        assert guard.failed(f"192.0.2.{n}", penalty_s)
    guard.forgive("192.0.2.3")
    guard._timers["192.0.2.1"].join()
    live_threads(row(guard._penalties, "LoginGuard._penalties", 4, "busy", holders=guard.serving()))


main()
