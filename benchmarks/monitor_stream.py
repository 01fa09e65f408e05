"""``exai monitor tail``: what eight of them cost the daemon, and how late an event is on the screen.

Real processes: a daemon's HTTP side that records at a pace, and tails whose output is read. Alone:
``python -m benchmarks.monitor_stream``.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks.processes import STOP_S, NotMeasured, environment, exai
from benchmarks.table import Limit, Row

TAILS: Final = 8
RATE: Final = 1000
READY_S: Final = 20.0


class Source:
    """The process that records."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.event_source", str(folder)]
        root = Path(__file__).resolve().parent.parent
        self._process = subprocess.Popen(
            command,
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(folder, {}),
        )
        line = self._line()
        if not line.startswith("ready on "):
            raise NotMeasured(f"the source did not get ready: {line[:200]}")
        self.port = int(line.rpartition(" ")[2])

    def record(self, rate: float, seconds: float) -> dict[str, float]:
        """Have it record."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{rate} {seconds}\n")
        self._process.stdin.flush()
        found: dict[str, float] = json.loads(self._line())
        return found

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        _end(self._process)


class Screen:
    """A tail whose output is read: how late each event came, in ms."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.late_ms: list[float] = []
        self._process = process
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.late_ms.append(1000 * (time.time() - float(line.split(maxsplit=1)[0])))
            self._begun.set()

    def wait(self) -> None:
        """Until its first event."""
        if not self._begun.wait(READY_S):
            raise NotMeasured("exai monitor tail showed nothing")


def measure(folder: Path, *, seconds: float) -> dict[str, float]:
    """One round."""
    source = Source(folder)
    try:
        source.record(RATE, 0.5)
        alone = source.record(RATE, seconds)
        with _tails(source.port, folder) as screens:
            source.record(RATE, 0.5)
            for screen in screens:
                screen.wait()
                screen.late_ms.clear()
            watched = source.record(RATE, seconds)
            time.sleep(0.2)
        late = sorted(ms for screen in screens for ms in screen.late_ms)
    finally:
        source.stop()
    expected = TAILS * int(RATE * seconds)
    if len(late) < expected:
        raise NotMeasured(f"{expected - len(late)} of {expected} events were not shown")
    return {
        "more_ns": watched["record_ns"] - alone["record_ns"],
        "more_cpu_us": watched["cpu_us"] - alone["cpu_us"],
        "p50_ms": late[len(late) // 2],
        "p99_ms": late[int(len(late) * 0.99)],
    }


@contextlib.contextmanager
def _tails(port: int, folder: Path) -> Iterator[list[Screen]]:
    template = "{timestamp} {time} {zone} {type:<9} {direction:<10} {function} {size} {ms} {metadata}"
    command = [*exai(), "monitor", "tail", "--port", str(port), "--last", "1", "--template", template]
    started: list[subprocess.Popen[str]] = []
    try:
        for _ in range(TAILS):
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment(folder, {}),
            )
            started.append(process)
        yield [Screen(process) for process in started]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_S)


def rows(folder: Path, *, rounds: int, quick: bool, say: Callable[[str], None]) -> list[Row]:
    """What eight tails cost, and their latency."""
    say(f"{rounds} rounds: {TAILS} tails at {RATE} events/s")
    found = []
    for number in range(rounds):
        place = folder / f"stream-{number}"
        place.mkdir()
        found.append(measure(place, seconds=1.5 if quick else 4.0))
    figures = {name: tuple(one[name] for one in found) for name in found[0]}
    return [
        Row(
            group="tail",
            what=f"recording an event, more with {TAILS} tails",
            unit="ns",
            goal="at most 300 ns",
            figures=figures["more_ns"],
            limit=Limit(number=300),
        ),
        Row(
            group="tail",
            what=f"CPU of the daemon's process an event, more with {TAILS} tails at {RATE:,}/s",
            unit="us",
            figures=figures["more_cpu_us"],
        ),
        Row(
            group="tail",
            what=f"tail: event to screen at {RATE:,}/s, {TAILS} tails, p99",
            unit="ms",
            goal="at most 50 ms",
            figures=figures["p99_ms"],
            limit=Limit(number=50),
        ),
        Row(
            group="tail",
            what=f"tail: event to screen at {RATE:,}/s, {TAILS} tails, median",
            unit="ms",
            figures=figures["p50_ms"],
        ),
    ]


def main() -> None:
    """One round, printed."""
    with tempfile.TemporaryDirectory(prefix="exai-stream-") as folder:
        for name, number in measure(Path(folder), seconds=4.0).items():
            print(f"{name:12} {number:8.1f}")


if __name__ == "__main__":
    main()
