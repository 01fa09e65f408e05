"""How a process is made to run the probe: the means, what is said beforehand, and waiting for its answer."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from exai_ops.errors import CouldNotLook
from exai_ops.sem.executable import NotReadable
from exai_ops.sem.inject.call import Call, give
from exai_ops.sem.inject.workspace import Workspace
from exai_ops.sem.process import Process

PROBE: Final = Path(__file__).with_name("probe_script.py")
REMOTE_EXEC: Final = (3, 14)
_START_S: Final = 10.0
_BACK_S: Final = 1.0
_POLL_S: Final = 0.002
_NO_ROOM: Final = 3

_START: Final = """
try:
    import _thread
    def start(path, answer, seconds):
        try:
            import time
            with open(answer, "r+b", buffering=0) as file:
                file.write(b" ")
            with open(path, "rb") as file:
                source = file.read()
            names = {"__name__": "exai_sem_probe", "SECONDS": seconds}
            for part in source.split(b"\\n# ----\\n"):
                exec(compile(part, "<exai sem>", "exec"), names)
                time.sleep(0.0005)
            names["main"](answer)
        except BaseException:
            pass
        finally:
            names.clear()
            globals().clear()
    _thread.start_new_thread(start, (PATH, ANSWER, SECONDS))
except KeyboardInterrupt:
    _thread.interrupt_main()
except BaseException:
    pass
"""


def says(process: Process) -> str:
    """What is about to be done to a process, for a person to read before it is."""
    means = (
        "sys.remote_exec" if _by_remote_exec(process) else "a call that its main thread is held for by ptrace"
    )
    return (
        f"--inject: process {process.pid} ({process.name}) will run code of exai's, brought in by {means}; "
        "it runs in a thread of its own there, only reads, and ends by itself; "
        "expect pauses of some milliseconds in its event loop, up to 50"
    )


def run(process: Process, seconds: int) -> tuple[bytes, float]:
    """(the probe's answer, for how long the main thread was held). ``seconds`` is what it may take.

    Raises:
        CouldNotLook: It is not allowed, or the process does not get to run it.
    """
    _check(process)
    with Workspace(process, PROBE.read_text(encoding="ascii")) as workspace:
        source = _START.replace(
            "PATH, ANSWER, SECONDS)", f"{workspace.probe!r}, {workspace.answer!r}, {seconds})"
        )
        if _by_remote_exec(process):
            return _remote(process, source, workspace, seconds), 0.0
        line = f"__import__('builtins').exec({source!r}, {{'__builtins__': __import__('builtins')}})"
        return _held(process, line, workspace, seconds)


def _by_remote_exec(process: Process) -> bool:
    """``sys.remote_exec`` takes both to be of the same version."""
    return process.version == REMOTE_EXEC and sys.version_info[:2] == REMOTE_EXEC


def _check(process: Process) -> None:
    if process.state in {"T", "t"}:
        raise NotReadable(
            f"process {process.pid} is stopped: code brought into it would not run",
            hint=f"let it go on with `kill -CONT {process.pid}`, or look without --inject",
        )


def _held(process: Process, line: str, workspace: Workspace, seconds: int) -> tuple[bytes, float]:
    call = give(process, line)
    try:
        if call.wait(time.monotonic() + _START_S, process.check) == _NO_ROOM:
            raise CouldNotLook(
                f"process {process.pid} has too many pending calls",
                hint="its main thread has not run Python for long: look without --inject",
            )
        answer = _wait(process, workspace, seconds, lambda: _why_not(call))
    finally:
        if workspace.begun:  # else the line may still run, and be read: its pages stay, and it finds no file
            _take_back(call)
    return answer, call.held_s


def _take_back(call: Call) -> None:
    until = time.monotonic() + _BACK_S
    with contextlib.suppress(CouldNotLook):  # it ended, or does not stop: some pages stay
        while not call.take_back() and time.monotonic() < until:
            time.sleep(_POLL_S)


def _why_not(call: Call) -> CouldNotLook:
    return CouldNotLook(
        f"process {call.process.pid} did not run the call within {_START_S:.0f} s: "
        "its main thread is in C code, or waits for something that does not come",
        hint="look without --inject; `py-spy dump --native` shows where the thread is",
    )


def _remote(process: Process, source: str, workspace: Workspace, seconds: int) -> bytes:
    start = workspace.add("start.py", source.encode())
    sys.remote_exec(process.pid, start)  # type: ignore[attr-defined]
    return _wait(process, workspace, seconds, lambda: _not_run(process))


def _not_run(process: Process) -> CouldNotLook:
    return CouldNotLook(
        f"process {process.pid} did not run the script within {_START_S:.0f} s",
        hint="its main thread runs no Python, or remote debugging is off (PYTHON_DISABLE_REMOTE_DEBUG)",
    )


def _wait(process: Process, workspace: Workspace, seconds: int, refusal: Callable[[], CouldNotLook]) -> bytes:
    until = time.monotonic() + _START_S + 2 * seconds
    begun = time.monotonic()
    while True:
        answer = workspace.read()
        if answer is not None:
            return answer
        process.check()
        if time.monotonic() - begun > _START_S and not workspace.begun:
            raise refusal()
        if time.monotonic() > until:
            raise CouldNotLook(f"process {process.pid} gave no answer in {time.monotonic() - begun:.0f} s")
        time.sleep(_POLL_S)
