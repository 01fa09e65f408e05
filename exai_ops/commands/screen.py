"""The whole terminal for a live screen: keys as they are typed, and everything put back at the end."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import termios
import tty
from types import FrameType, TracebackType
from typing import Final, Self

from exai_ops.commands.keys import Keys

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_LEAVE: Final = "\x1b[?7h\x1b[?25h\x1b[0m\x1b[?1049l"
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
SEQUENCE_S: Final = 0.05
"""How long the rest of an escape sequence may take; then it was the Escape key."""


class Screen:
    """The other screen of the terminal, without cursor, line wrap and echo; a context.

    It is put back on every way out: by exception (Ctrl-C is KeyboardInterrupt), by SIGTERM, SIGHUP and
    SIGQUIT, of which the process dies as it would have, and while Ctrl-Z stops it. Only for the main thread.

    Attributes:
        keyboard, woken: Readable once keys were typed, and once a signal came: the size has changed, say.
    """

    def __init__(self) -> None:
        self.keyboard = sys.stdin.fileno()
        self._output = sys.stdout.fileno()
        self._encoding = sys.stdout.encoding
        self._keys = Keys()
        self._before = termios.tcgetattr(self.keyboard)
        self._handlers: dict[int, object] = {}
        self._shown = False

    def __enter__(self) -> Self:
        self.woken, self._waker = os.pipe()
        for number in (self.woken, self._waker):
            os.set_blocking(number, False)
        # A signal just before select would not end it; what the interpreter writes here at once does.
        self._woke = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        sys.stdout.flush()
        for number in _ENDING:
            self._handle(number, self._end)
        self._handle(signal.SIGTSTP, self._stop)
        self._handle(signal.SIGWINCH, lambda *_: None)  # with a handler it wakes
        try:
            self._enter()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._woke)
        os.close(self.woken)
        os.close(self._waker)

    def size(self) -> tuple[int, int]:
        """Columns and rows, now."""
        try:
            size = os.get_terminal_size(self._output)
        except OSError:
            size = os.terminal_size((0, 0))
        if not (size.columns and size.lines):  # a terminal that does not know, as a serial line
            size = shutil.get_terminal_size()
        return max(1, size.columns), max(1, size.lines)

    def write(self, text: str) -> None:
        """Send text and control sequences; a terminal that is gone ends the process as SIGHUP would."""
        left = text.encode(self._encoding, "replace")
        try:
            while left:
                left = left[os.write(self._output, left) :]
        except OSError:
            self._end(signal.SIGHUP)

    def typed(self) -> list[str]:
        """The keys that were typed; to be asked once ``keyboard`` is readable."""
        keys = self._keys.feed(self._read())
        while self._keys.pending and _readable([self.keyboard], SEQUENCE_S):
            keys += self._keys.feed(self._read())
        return keys + self._keys.flush()

    def rested(self) -> None:
        """Take note of what ``woken`` was readable for."""
        try:
            while os.read(self.woken, 512):
                pass
        except BlockingIOError:
            return

    def wait(self, seconds: float) -> list[str]:
        """Keys typed within the time, as soon as there are any; none when it is over or the size changed."""
        ready = _readable([self.keyboard, self.woken], max(0.0, seconds))
        if self.woken in ready:
            self.rested()
        return self.typed() if self.keyboard in ready else []

    def _read(self) -> bytes:
        """From the descriptor itself: a buffer of Python's would hold back keys that select does not see."""
        try:
            data = os.read(self.keyboard, 4096)
        except OSError:
            data = b""
        if not data:
            self._end(signal.SIGHUP)
        return data

    def _enter(self) -> None:
        tty.setcbreak(self.keyboard)
        self._shown = True
        self.write(_ENTER)

    def _leave(self) -> None:
        if not self._shown:
            return
        self._shown = False
        try:
            termios.tcsetattr(self.keyboard, termios.TCSADRAIN, self._before)
            os.write(self._output, _LEAVE.encode())
        except (OSError, termios.error):  # the terminal is gone
            return

    def _handle(self, number: int, handler: object) -> None:
        self._handlers[number] = signal.signal(number, handler)  # type: ignore[arg-type]

    def _end(self, number: int, _frame: FrameType | None = None) -> None:
        """Put the terminal back and die of this signal."""
        self._leave()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        """Stop as Ctrl-Z asks, with the terminal as it was; enter again once told to go on."""
        self._leave()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        signal.signal(number, self._stop)
        self._enter()


def _readable(numbers: list[int], seconds: float) -> list[int]:
    ready, _, _ = select.select(numbers, [], [], seconds)
    return ready
