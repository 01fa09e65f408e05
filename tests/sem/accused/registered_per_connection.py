"""One function is registered for each connection with a selector, and gives back when it closes."""

from __future__ import annotations

import selectors
import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live_threads, row

PLACES = threading.BoundedSemaphore(6)
SELECTOR = selectors.DefaultSelector()


def readable(connection: socket.socket) -> None:
    if not connection.recv(16):
        SELECTOR.unregister(connection)
        PLACES.release()


def main() -> None:
    pairs = [socket.socketpair() for _ in range(3)]
    for ours, _ in pairs:
        PLACES.acquire()
        SELECTOR.register(ours, selectors.EVENT_READ, readable)
    live_threads(row(PLACES, "PLACES", 6, "busy", holders=3))
    assert pairs


main()
