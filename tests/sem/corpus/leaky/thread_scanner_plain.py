"""Port scanner threads: a host that refuses raises past the release; two scans still go on."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live_threads, row

LIMIT = threading.Semaphore(6)


def closed_port() -> tuple[str, int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address: tuple[str, int] = server.getsockname()
    return address


def scan(address: tuple[str, int], refused: list[str]) -> None:
    try:
        banner(address)
    except OSError as error:
        refused.append(type(error).__name__)


def banner(address: tuple[str, int]) -> bytes:
    LIMIT.acquire()
    with socket.create_connection(address) as connection:
        greeting = connection.recv(64)
    LIMIT.release()
    return greeting


def main() -> None:
    refused: list[str] = []
    gone = closed_port()
    failing = [threading.Thread(target=scan, args=(gone, refused), daemon=True) for _ in range(3)]
    for thread in failing:
        thread.start()
    for thread in failing:
        thread.join()
    silent = socket.create_server(("127.0.0.1", 0))
    waiting = [
        threading.Thread(target=scan, args=(silent.getsockname(), refused), daemon=True) for _ in range(2)
    ]
    for thread in waiting:
        thread.start()
    peers = [silent.accept() for _ in waiting]  # connected: each holds its permit and waits for a greeting
    live_threads(row(LIMIT, "LIMIT", 6, "leaked", count=len(refused), holders=len(peers)))


main()
