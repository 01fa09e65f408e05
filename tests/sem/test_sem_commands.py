"""``exai sem`` as a user runs it, on real processes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from exai_ops.sem.rules import RULES

from .targets import running

CORPUS = Path(__file__).parent / "corpus"
DEADLINE_S = 60.0


@contextmanager
def program(path: str) -> Iterator[subprocess.Popen[str]]:
    """A program of the corpus that has said its truth."""
    child = subprocess.Popen(
        [sys.executable, str(CORPUS / path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline()
        yield child
    finally:
        child.kill()
        child.communicate()


def exai(*args: object) -> subprocess.CompletedProcess[str]:
    """``exai sem ARGS`` to its end."""
    command = [sys.executable, "-m", "exai_ops", "sem", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """It said one line of error, at most one of a hint, and nothing else."""
    assert (done.returncode, done.stdout) == (code, ""), done
    error, *hint = done.stderr.splitlines()
    assert error.startswith("exai: error: ")
    assert len(hint) <= 1
    assert all(line.startswith("hint: ") for line in hint)
    for word in words:
        assert word in done.stderr


def test_a_leak_in_every_format() -> None:
    with program("leaky/acquire_before_try.py") as child:
        text = exai("check", child.pid)
        assert text.returncode == 1
        assert "LEAKED  __main__.ApiClient.concurrency  asyncio.Semaphore" in text.stdout
        assert "leaked 3, 3 of 10 free, 4 held" in text.stdout
        assert re.search(r"built at .*acquire_before_try\.py:\d+ in ApiClient\.__init__", text.stdout)
        assert text.stdout.endswith("1 leaked\n")
        said: dict[str, Any] = json.loads(exai("check", child.pid, "--format", "json").stdout)
        (one,) = said["processes"][0]["semaphores"]
        assert (one["verdict"], one["permits"], one["value"], one["bound"]) == ("leaked", 3, 3, 10)
        assert [finding["code"] for finding in said["findings"]] == ["SEM001"]
        for name, words in {
            "short": "error SEM001",
            "github": "::error file=",
            "sarif": '"ruleId": "SEM001"',
            "junit": 'failures="1"',
        }.items():
            done = exai("check", child.pid, "--format", name)
            assert done.returncode == 1
            assert words in done.stdout


def test_a_program_by_its_name_and_when_it_is_stopped() -> None:
    with program("healthy/steady_traffic_bounded.py") as child:
        child.send_signal(signal.SIGSTOP)
        done = exai("check", "steady_traffic_bounded")
        child.send_signal(signal.SIGCONT)
    assert done.returncode == 0, done
    assert f"note: process {child.pid} is stopped" in done.stdout


def test_all_of_them() -> None:
    with program("leaky/pool_connect_error.py") as child:
        done = exai("check", "--all", "--format", "json")
    assert done.returncode in (1, 3)
    found = {one["pid"]: one for one in json.loads(done.stdout)["processes"]}
    assert [one["verdict"] for one in found[child.pid]["semaphores"]] == ["leaked"]


def test_what_cannot_be_looked_at() -> None:
    refused(exai("check", 1 << 22), 3, "there is no process", "hint")
    refused(exai("check", "no-such-program"), 3, "no Python process is called no-such-program")
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        refused(exai("check", sleeping.pid), 3, "is not Python: it runs")
        sleeping.kill()
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    refused(exai("check", zombie.pid), 3, "a zombie")
    zombie.wait()


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["check", "1", "--all"], "--all and a process"),
        (["check", "1", "--format", "xml"], "xml"),
        (["check", "1", "--fail-on", "never"], "never"),
        (["check", ""], "no name"),
        (["check", "--explain", "SEM999"], "no rule has the code SEM999"),
        (["check", "1", "--only", "SEM0011"], "--only: no rule has the code SEM0011"),
        (["check", "1", "--skip", "ENV001"], "--skip: no rule has the code ENV001"),
        (["check", "1", "--write-baseline"], "--write-baseline needs --baseline FILE"),
        (["watch", "1", "--for", "soon"], "soon"),
        (["watch", "1", "--every", "0"], "too short"),
        (["watch", "1", "--fail-on", "all"], "all"),
        (["watch", "1", "--format", "json"], "json"),
        (["top", "1"], "terminal"),
    ],
)
def test_usage(args: list[str], word: str) -> None:
    refused(exai(*args), 2, word)


def test_rules_are_listed_and_explained() -> None:
    listed = exai("check", "--list-rules").stdout
    for rule in RULES:
        assert rule.code in listed
        told = exai("check", "--explain", rule.code.lower())
        assert told.returncode == 0
        assert rule.title in told.stdout


LOSES = """
SEM = asyncio.Semaphore(3)

async def work():
    async with SEM:
        await asyncio.sleep(0.2)

async def lose():
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    try:
        await SEM.acquire()
        await asyncio.sleep(1)
        raise OSError
        SEM.release()
    except OSError:
        tell(lost=True)

async def main():
    losing = asyncio.create_task(lose(), name="the loser")
    tell()
    while True:
        await asyncio.gather(work(), work())
        await asyncio.sleep(0.1)

asyncio.run(main())
"""


def test_watch_names_the_second_and_who_held() -> None:
    with running(sys.executable, LOSES) as (child, _):
        command = [sys.executable, "-m", "exai_ops", "sem", "watch", str(child.pid), "--format", "ndjson"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
            assert watching.stdout is not None
            assert child.stdin is not None
            assert child.stdout is not None
            first = json.loads(watching.stdout.readline())
            assert (first["what"], first["semaphore"]) == ("new", "__main__.SEM (asyncio.Semaphore)")
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline()
            at = time.time()
            rows = (json.loads(line) for line in watching.stdout)
            lost = next(row for row in rows if row["what"] == "lost")
            verdict = next(row for row in rows if row["what"] == "verdict")
            watching.send_signal(signal.SIGINT)
            assert watching.wait(DEADLINE_S) == 1
    assert lost["permits"] == 1
    assert _seconds(lost["after"]) <= at + 0.5
    assert _seconds(lost["at"]) >= at - 0.5
    (loser,) = (holder for holder in lost["last_holders"] if holder["name"] == "the loser")
    assert loser["stack"][0]["function"] == "lose"
    assert (verdict["verdict"], verdict["permits"]) == ("leaked", 1)


def _seconds(stamp: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(stamp).timestamp()


def test_watch_ends_with_its_process_or_its_time() -> None:
    with program("healthy/long_report.py") as child:
        assert exai("watch", child.pid, "--for", "1s").returncode == 0
        command = [sys.executable, "-m", "exai_ops", "sem", "watch", str(child.pid)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
            assert watching.stdout is not None
            assert "follows" in watching.stdout.readline()
            child.kill()
            child.wait()
            _, told = watching.communicate(timeout=DEADLINE_S)
            assert watching.returncode == 0
            assert "there is no process" in told


def test_watch_is_interrupted() -> None:
    with program("healthy/long_report.py") as child:
        command = [sys.executable, "-m", "exai_ops", "sem", "watch", str(child.pid)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
            assert watching.stdout is not None
            watching.stdout.readline()
            watching.send_signal(signal.SIGINT)
            assert watching.wait(DEADLINE_S) == 130


class Terminal:
    """``exai sem top`` in a terminal of its own."""

    def __init__(self, *args: object) -> None:
        command = [sys.executable, "-m", "exai_ops", "sem", "top", *map(str, args)]
        self.pid, self._file = pty.fork()
        if not self.pid:
            os.environ.update(TERM="xterm", COLUMNS="120", LINES="30")
            os.execv(sys.executable, command)
        self.seen = ""
        self.before = termios.tcgetattr(self._file)

    def until(self, words: str) -> None:
        """Read until these words are shown."""
        deadline_s = time.monotonic() + DEADLINE_S
        while words not in self.seen:
            assert time.monotonic() < deadline_s, self.seen
            if select.select([self._file], [], [], 1)[0]:
                try:
                    self.seen += os.read(self._file, 65536).decode()
                except OSError:  # the other end is closed
                    assert words in self.seen, self.seen

    def press(self, key: str) -> None:
        """Press a key, and read on from there."""
        self.seen = ""
        os.write(self._file, key.encode())

    def code(self) -> int:
        """Its exit code."""
        self.until("\x1b[?1049l")
        assert termios.tcgetattr(self._file) == self.before
        _, status = os.waitpid(self.pid, 0)
        os.close(self._file)
        return os.waitstatus_to_exitcode(status)


def test_top() -> None:
    with program("leaky/pool_connect_error.py") as child:
        top = Terminal(child.pid, "--every", "200ms")
        top.until("leaked 3")
        top.press("n")
        top.until("sorted by name")
        top.press("p")
        top.until("paused")
        top.press("p")
        top.until("read in")
        top.press("q")
        assert top.code() == 0
        assert "\x1b[?25h" in top.seen


def test_top_takes_keys_typed_together_and_ends_by_a_signal() -> None:
    with program("leaky/pool_connect_error.py") as child:
        top = Terminal(child.pid, "--every", "200ms")
        top.until("leaked 3")
        top.press("pn")
        top.until("paused  sorted by name")
        os.kill(top.pid, signal.SIGTERM)
        assert top.code() == -signal.SIGTERM


def test_top_of_a_process_that_ends() -> None:
    with program("leaky/pool_connect_error.py") as child:
        top = Terminal(child.pid, "--every", "200ms")
        top.until("__main__.Pool._slots")
        child.kill()
        child.wait()
        assert top.code() == 3


def test_check_with_a_baseline(tmp_path: Path) -> None:
    path = tmp_path / "sem.json"
    with program("leaky/pool_connect_error.py") as child:
        written = exai("check", child.pid, "--baseline", path, "--write-baseline")
        assert (written.returncode, written.stdout) == (0, ""), written
        assert written.stderr == f"exai: {path}: written, with 1 finding\n"
        known = exai("check", child.pid, "--baseline", path)
        assert (known.returncode, known.stderr) == (0, ""), known
        assert "LEAKED" not in known.stdout
        assert "note: 1 of 1 semaphores left out by --only, --skip or --baseline" in known.stdout
        skipped = exai("check", child.pid, "--skip", "SEM001", "--format", "json")
        assert skipped.returncode == 0
        assert json.loads(skipped.stdout)["findings"] == []
        only = exai("check", child.pid, "--only", "SEM001", "--format", "short")
        assert only.returncode == 1
        assert "error SEM001" in only.stdout
