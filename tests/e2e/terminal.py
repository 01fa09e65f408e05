"""Programs in a terminal of their own."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path

DEADLINE_S = 20.0


class Terminal:
    """A program in a terminal of its own."""

    def __init__(
        self,
        *args: str,
        size: tuple[int, int] = (80, 24),
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        columns, rows = size
        self.pid, self._file = pty.fork()
        if not self.pid:
            termios.tcsetwinsize(1, (rows, columns))
            os.chdir(cwd or ".")
            os.execve(sys.executable, [sys.executable, *args], {**os.environ, "TERM": "xterm", **(env or {})})
        self.before = termios.tcgetattr(self._file)
        self.seen = ""

    def until(self, words: str) -> None:
        """Read until these words have been shown."""
        deadline_s = time.monotonic() + DEADLINE_S
        while words not in self.seen:
            assert time.monotonic() < deadline_s, self.seen
            if select.select([self._file], [], [], 1)[0]:
                self.seen += os.read(self._file, 65536).decode()

    def press(self, keys: bytes) -> None:
        os.write(self._file, keys)

    def resize(self, columns: int, rows: int) -> None:
        termios.tcsetwinsize(self._file, (rows, columns))

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def restored(self) -> bool:
        """Whether the mode of the terminal and its screen are as they were."""
        self.until("\x1b[?25h\x1b[0m\x1b[?1049l")
        return bool(termios.tcgetattr(self._file) == self.before)

    def code(self) -> int:
        """Its exit code, with the terminal as it was."""
        self.until("\x1b[?1049l")
        status = os.waitpid(self.pid, 0)[1]
        assert self.restored()
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        os.close(self._file)

    def reap(self) -> None:
        """End it if it has not ended."""
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            return
