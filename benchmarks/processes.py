"""Child processes of a run: started on a core, watched line by line, ended by their pid."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM)
READY_S: Final = 90.0
"""How long a server may take to say that it is ready."""
STOP_S: Final = 5.0
"""How long a server may take to end after SIGTERM, before SIGKILL."""
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH")


class NotMeasured(Exception):
    """A figure that could not be had; the message is the reason."""


def cores() -> tuple[frozenset[int], frozenset[int]] | None:
    """A core for the server and one for load and upstream, None where processes cannot be pinned."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    return (frozenset(usable[:1]), frozenset(usable[1:2])) if len(usable) > 1 else None


def environment(folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """A child's environment: nothing of the caller's but the path, and a home in the run's folder."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {"HOME": str(folder), "EXAI_STATE_DIR": str(folder / "state")} | dict(extra)


def exai() -> list[str]:
    """The ``exai`` command of this virtual environment."""
    script = Path(sys.executable).with_name("exai")
    return [str(script)] if script.exists() else [sys.executable, "-m", "exai_ops"]


@dataclass(slots=True)
class Child:
    """A running process.

    Attributes:
        started_at: ``time.perf_counter()`` just before it was spawned.
        found_at: The same clock when the line it was waited for came.
        found_cpu_s: What the process had used of the CPU by then.
        address: What the pattern's group found in that line.
    """

    process: subprocess.Popen[str]
    started_at: float
    pattern: re.Pattern[str]
    address: str = ""
    found_at: float = 0.0
    found_cpu_s: float = 0.0
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    _found: threading.Event = field(default_factory=threading.Event)
    _reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    def read(self) -> None:
        """Take its output from now on, so that it never waits for us."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            match = None if self._found.is_set() else self.pattern.search(line)
            if match:
                self.found_at = time.perf_counter()
                with contextlib.suppress(OSError):  # it may have ended with this line
                    self.found_cpu_s = cpu_s(self.pid)
                self.address = match.group(1)
                self._found.set()
        self._found.set()

    def wait_ready(self, timeout_s: float = READY_S) -> None:
        """Wait for its line. Raises NotMeasured when it ends without, or the time is over."""
        self._found.wait(timeout_s)
        if not self.address:
            last = " | ".join(list(self.lines)[-3:]) or "it printed nothing"
            raise NotMeasured(f"{Path(str(self.process.args[0])).name} did not get ready: {last}")  # type: ignore[index]

    def stop(self) -> None:
        """End it, whatever it does."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is not None:
                break
            self.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_S)
        self._finish()

    def _finish(self) -> None:
        if self._reader is not None:
            self._reader.join(STOP_S)
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextlib.contextmanager
def running(
    args: Sequence[str],
    ready: str,
    *,
    folder: Path,
    core: frozenset[int] | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = READY_S,
) -> Iterator[Child]:
    """A server, once it is ready; ended at the exit, also when that is a Ctrl-C.

    ``ready`` is a pattern whose group 1 is the address in the line that says so.
    """
    child = spawn(args, ready, folder=folder, core=core, env=env)
    try:
        child.wait_ready(timeout_s)
        yield child
    finally:
        with unhurried():
            child.stop()


def spawn(
    args: Sequence[str],
    ready: str,
    *,
    folder: Path,
    core: frozenset[int] | None = None,
    env: Mapping[str, str] | None = None,
) -> Child:
    """Start a process in a session of its own, so that a Ctrl-C reaches it through us alone."""
    given = environment(folder, env or {})
    began = time.perf_counter()
    process = subprocess.Popen(
        list(args),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=given,
        start_new_session=True,
    )
    if core is not None:
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(process.pid, core)
    child = Child(process, began, re.compile(ready))
    child.read()
    return child


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    """Let clean-up finish, which is bounded by ``STOP_S``: a second Ctrl-C changes nothing."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def cpu_s(pid: int) -> float:
    """User and system time of a process, all its threads, in seconds; to the nanosecond on Linux."""
    if sys.platform == "linux":
        # The kernel's number of another process's CPU clock, as clock_getcpuclockid(3) makes it.
        return time.clock_gettime((~pid << 3) | 2)
    import psutil

    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
