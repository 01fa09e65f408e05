"""``exai sem check PID --inject`` as a user runs it: what it says, finds, refuses, and its end."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from exai_ops.sem.check import look
from exai_ops.sem.executable import ProcessGone
from exai_ops.sem.model import Scan
from exai_ops.sem.passive.whole import WholeScanner

from .corpus_programs import interpreters
from .targets import running
from .test_inject import until
from .test_sem_commands import DEADLINE_S, exai, program, refused

PYTHONS: Final = interpreters(os.environ.get("EXAI_TEST_PYTHONS"))
CANCELLED: Final = """
SEM = asyncio.BoundedSemaphore(2)

async def main():
    await SEM.acquire()
    later = asyncio.get_running_loop().call_later(1000, SEM.release)
    later.cancel()
    tell(ready=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""
NOBODY: Final = pwd.getpwnam("nobody").pw_uid


@pytest.mark.parametrize("python", PYTHONS)
def test_what_is_suspect_from_outside_is_told_from_within(python: str) -> None:
    with running(python, CANCELLED) as (child, _):
        outside = exai("check", child.pid, "--format", "short")
        assert outside.returncode == 0, outside
        assert "warning SEM003" in outside.stdout
        within = exai("check", child.pid, "--inject")
        assert within.returncode == 1, within
        assert "LEAKED  __main__.SEM  asyncio.BoundedSemaphore" in within.stdout
        assert "leaked 1, 1 of 2 free" in within.stdout
        assert "note: looked at from within: its main thread was held for" in within.stdout
        told = f"--inject: process {child.pid} (python"
        assert within.stderr.startswith(told), within
        for words in ("held for by ptrace", "a thread of its own", "ends by itself", "pauses of some"):
            assert words in within.stderr
        assert child.poll() is None


def test_nothing_is_run_where_nothing_is_in_doubt() -> None:
    with program("healthy/steady_traffic_bounded.py") as child:
        done = exai("check", child.pid, "--inject")
        assert done.returncode == 0, done
        assert "no code is run in it" in done.stderr
        assert "looked at from within" not in done.stdout


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)
    yield


@contextmanager
def traced(pid: int) -> Iterator[None]:
    """By another process, which lets it go when it ends."""
    source = (
        "import ctypes, sys\n"
        "print(ctypes.CDLL(None).ptrace(ctypes.c_long(0x4206), ctypes.c_long(int(sys.argv[1])), None, None),"
        " flush=True)\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", source, str(pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tracer:
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == "0\n"
        yield
        tracer.communicate()


@pytest.mark.parametrize(("state", "words"), [(stopped, "is stopped"), (traced, "is traced by process")])
def test_a_process_that_cannot_run_it_is_refused(state: object, words: str) -> None:
    assert callable(state)
    with running(sys.executable, CANCELLED) as (child, _), state(child.pid):
        refused(exai("check", child.pid, "--inject"), 3, words, "look without --inject")
        passive = exai("check", child.pid, "--format", "short")
        assert passive.returncode == 0, passive
        assert "SEM003" in passive.stdout


def test_what_has_ended_is_refused() -> None:
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    refused(exai("check", zombie.pid, "--inject"), 3, "a zombie")
    zombie.wait()
    refused(exai("check", 1 << 22, "--inject"), 3, "there is no process")


def test_without_the_right_it_is_refused() -> None:
    """A process that root alone may trace, one that is not dumpable, by another user or its own."""
    source = "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n" + CANCELLED
    code = (
        "import os, sys\n"
        "sys.stdout = sys.stderr = open(os.devnull, 'w')\n"
        "from exai_ops.sem.process import Process\n"
        "from exai_ops.errors import CouldNotLook\n"
        "os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))\n"
        "try: Process.open(int(sys.argv[1]))\n"
        "except CouldNotLook as error: os.write(1, f'{error.exit_code} {error} {error.hint}'.encode())\n"
    )
    if os.geteuid():
        code = code.replace("os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))", "")
    with running(sys.executable, source) as (child, _):
        done = subprocess.run(
            [sys.executable, "-c", code, str(child.pid), str(NOBODY)],
            capture_output=True, text=True, check=False, timeout=DEADLINE_S,
        )  # fmt: skip
    assert done.stdout.startswith("3 "), done
    assert f"sudo exai sem check {child.pid}" in done.stdout


def test_a_process_that_ends_between_two_scans() -> None:
    class Ends(WholeScanner):
        def scan(self) -> Scan:
            found = super().scan()
            child.kill()
            child.wait()
            return found

    with (
        program("leaky/pool_connect_error.py") as child,
        Ends(child.pid) as scanner,
        pytest.raises(ProcessGone, match=rf"process {child.pid}"),
    ):
        look(scanner)


def reads(pid: int, target: int) -> bool:
    """Whether one process has the memory of the other open."""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(entry.readlink()) == f"/proc/{target}/mem":
                return True
        except OSError:
            continue
    return False


def test_an_interrupted_check_ends_with_130() -> None:
    with program("leaky/pool_connect_error.py") as child:
        command = [sys.executable, "-m", "exai_ops", "sem", "check", str(child.pid)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as checking:
            until(lambda: reads(checking.pid, child.pid))  # it takes a second more: two scans
            checking.send_signal(signal.SIGINT)
            out, told = checking.communicate(timeout=DEADLINE_S)
        assert checking.returncode == 130
        assert out == ""
        assert "Traceback" not in told
