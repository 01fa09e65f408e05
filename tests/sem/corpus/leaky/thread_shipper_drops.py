"""A log shipper: each batch has a permit; when the queue is full the batch is dropped, permit and all."""

from __future__ import annotations

import queue
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live_threads, row


class Shipper:
    def __init__(self, in_flight: int, room: int) -> None:
        self._in_flight = threading.Semaphore(in_flight)
        self._batches: queue.Queue[list[str]] = queue.Queue(room)
        self.network_up = threading.Event()
        self.dropped = 0
        self._sender = threading.Thread(target=self._send, name="shipper", daemon=True)

    def start(self) -> None:
        self._sender.start()

    def ship(self, batch: list[str]) -> None:
        self._in_flight.acquire()
        try:
            self._batches.put_nowait(batch)
        except queue.Full:
            self.dropped += len(batch) > 0

    def _send(self) -> None:
        while True:
            self.network_up.wait()
            self._batches.get()
            self._in_flight.release()
            self._batches.task_done()

    def flush(self) -> None:
        self._batches.join()


def main() -> None:
    shipper = Shipper(in_flight=8, room=3)
    shipper.start()
    for n in range(6):
        shipper.ship([f"line {n}"])
    shipper.network_up.set()
    shipper.flush()
    for n in range(20):
        shipper.ship([f"later line {n}"])
        shipper.flush()
    live_threads(row(shipper._in_flight, "Shipper._in_flight", 8, "leaked", count=shipper.dropped))


main()
