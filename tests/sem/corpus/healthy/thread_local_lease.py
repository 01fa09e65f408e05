"""Each thread keeps its lease in a threading.local and returns it when its last job is done."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live_threads, row

SERIAL_PORTS = threading.BoundedSemaphore(4)
mine = threading.local()


def open_port() -> None:
    SERIAL_PORTS.acquire()
    mine.give_back = SERIAL_PORTS.release


def close_port() -> None:
    mine.__dict__.pop("give_back")()


class Meter(threading.Thread):
    def __init__(self, name: str, readings: int) -> None:
        super().__init__(name=name, daemon=True)
        self.readings = readings
        self.opened, self.unplugged = threading.Event(), threading.Event()

    def run(self) -> None:
        open_port()
        self.opened.set()
        self.measure()
        close_port()

    def measure(self) -> None:
        while self.readings > 0:
            self.readings -= 1
            if self.readings == 1:
                self.unplugged.wait()


def main() -> None:
    meters = [Meter(f"meter-{n}", readings) for n, readings in enumerate((1, 10, 20, 1))]
    for meter in meters:
        meter.start()
        meter.opened.wait()
    for meter in (meters[0], meters[3]):
        meter.join()
    alive = sum(meter.is_alive() for meter in meters)
    live_threads(row(SERIAL_PORTS, "SERIAL_PORTS", 4, "busy", holders=alive))


main()
