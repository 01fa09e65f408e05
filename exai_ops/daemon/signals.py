"""SIGTERM and SIGINT, taken from the interpreter's wake-up pipe by a thread of their own.

A handler in Python runs in the main thread between byte codes, and C code in the main thread keeps it
waiting. The byte in the pipe is written by the signal itself, so that a daemon whose event loop is
blocked still learns of a second signal, as long as what blocks it lets go of the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from types import FrameType
from typing import Final, Self

FORCED_S: Final = 0.8
"""From a second signal to the end of the process, whatever it does."""

ECHO_S: Final = 0.2
"""A signal that comes again within this time is the same one: make, told to end with its whole process
group, passes on what the daemon has received already."""

_NUMBERS: Final = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """The first signal drains, the second ends. Enter it in the main thread, in the running loop.

    Attributes:
        received: Number of the first one, None while there was none.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.drain = asyncio.Event()
        self.force = asyncio.Event()
        self.received: int | None = None
        self._received_at = 0.0
        self._loop = loop
        self._handlers = {number: signal.getsignal(number) for number in _NUMBERS}
        self._reader, self._writer = os.pipe()
        self._thread = threading.Thread(target=self._read, name="signals", daemon=True)

    def __enter__(self) -> Self:
        os.set_blocking(self._writer, False)
        self._before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._thread.start()
        for number in _NUMBERS:
            signal.signal(number, _left_to_the_pipe)
        return self

    def __exit__(self, *_exc: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._before)
        os.close(self._writer)
        self._thread.join()
        os.close(self._reader)

    def _read(self) -> None:
        while number := os.read(self._reader, 1):
            if number[0] in _NUMBERS:
                self._take(number[0])
            elif self._before != -1:
                os.write(self._before, number)  # the event loop's own business

    def _take(self, number: int) -> None:
        if self.received is None:
            self.received, self._received_at = number, time.monotonic()
            self._loop.call_soon_threadsafe(self.drain.set)
        elif number != self.received or time.monotonic() - self._received_at > ECHO_S:
            end_within(FORCED_S, number)
            self._loop.call_soon_threadsafe(self.force.set)


def _left_to_the_pipe(_number: int, _frame: FrameType | None) -> None:
    """Only a signal with a handler in Python reaches the pipe."""


def end_within(seconds: float, number: int) -> None:
    """End the process after this time, whatever still runs in it."""
    killer = threading.Timer(seconds, os._exit, (128 + number,))
    killer.daemon = True
    killer.start()


def end_by(number: int) -> None:
    """End this process as the signal would have, so that the exit status says it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
