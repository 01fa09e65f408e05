"""Threads release in the retry loop and again after it: each retry gives one too many. One still works."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live_threads, row


class Mailer:
    def __init__(self, connections: int) -> None:
        self.connections = threading.Semaphore(connections)
        self.greylisted = 0
        self.sent: list[str] = []
        self._note = threading.Lock()

    def send(self, address: str, attempts: int, accepted: threading.Event) -> None:
        self.connections.acquire()
        for attempt in range(attempts):
            if attempt + 1 < attempts:
                with self._note:
                    self.greylisted += 1
                self.connections.release()  # and should take it again
                continue
            accepted.wait()
            with self._note:
                self.sent.append(address)
        self.connections.release()


def main() -> None:
    mailer, at_once, never = Mailer(4), threading.Event(), threading.Event()
    at_once.set()
    plan = (("ada@example.org", 1, at_once), ("bob@example.org", 2, at_once), ("eve@example.org", 3, at_once))
    threads = [threading.Thread(target=mailer.send, args=args, daemon=True) for args in plan]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = threading.Thread(target=mailer.send, args=("joe@example.org", 1, never), daemon=True)
    last.start()
    while mailer.connections._value != 4 + mailer.greylisted - 1:
        last.join(0.002)
    twice = mailer.greylisted
    live_threads(row(mailer.connections, "Mailer.connections", 4, "over-released", count=twice, holders=1))


main()
