"""A contextmanager generator around threading's semaphore, in an ExitStack that a device keeps."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live_threads, row

BUS = threading.BoundedSemaphore(4)


@contextmanager
def bus_channel(name: str) -> Iterator[str]:
    BUS.acquire()
    try:
        yield f"channel for {name}"
    finally:
        BUS.release()


class Device:
    def __init__(self, name: str) -> None:
        self.name = name
        self.stack = ExitStack()
        self.channel = ""

    def open(self) -> Device:
        self.channel = self.stack.enter_context(bus_channel(self.name))
        return self

    def close(self) -> None:
        self.stack.close()


def main() -> None:
    devices = {name: Device(name).open() for name in ("scale", "scanner", "printer")}
    devices.pop("scanner").close()
    with bus_channel("probe") as channel:
        assert channel
    live_threads(row(BUS, "BUS", 4, "busy", holders=len(devices)))


main()
