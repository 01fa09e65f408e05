"""How a process is made to run the probe: the means, what is said beforehand, and waiting for its answer."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from exai_ops.errors import CouldNotLook
from exai_ops.sem.executable import NotReadable
from exai_ops.sem.inject.call import Call, give, left_by_others
from exai_ops.sem.inject.workspace import START, Workspace, begun_in, remove_left
from exai_ops.sem.process import Process, tracer_of

PROBE: Final = Path(__file__).with_name("probe_script.py")
REMOTE_EXEC: Final = (3, 14)
PATIENCE_S: Final = 10.0
_BACK_S: Final = 1.0
_POLL_S: Final = 0.002
_LATE_POLL_S: Final = 0.02
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
        "expect pauses of some milliseconds in its event loop, and a full collection of its own the sooner"
    )


class Order(NamedTuple):
    """What is to be done.

    Attributes:
        seconds: What the probe may take.
        patience_s: How long the process has to begin with it.
        late_s: For how long to wait for one that has not begun, after that was said, to take all back.
    """

    seconds: int
    patience_s: float = PATIENCE_S
    late_s: float = 300.0


def run(
    process: Process,
    order: Order,
    answered: Callable[[bytes, float], None],
    refused: Callable[[CouldNotLook], None],
    unwanted: Callable[[], bool],
) -> None:
    """Tell the probe's answer and for how long the main thread was held, or why there is none; then clean up.

    ``unwanted`` says that nobody waits for the answer any more.
    """
    try:
        check(process)
        clear(process)
        _run(process, order, answered, refused, unwanted)
    except CouldNotLook as error:
        refused(error)


def _run(
    process: Process,
    order: Order,
    answered: Callable[[bytes, float], None],
    refused: Callable[[CouldNotLook], None],
    unwanted: Callable[[], bool],
) -> None:
    seconds = order.seconds
    with Workspace(process, PROBE.read_text(encoding="ascii")) as workspace:
        source = _START.replace(
            "PATH, ANSWER, SECONDS)", f"{workspace.probe!r}, {workspace.answer!r}, {seconds})"
        )
        if _by_remote_exec(process):
            start = workspace.add(START, source.encode())
            sys.remote_exec(process.pid, start)  # type: ignore[attr-defined]
            answered(_wait(process, workspace, order, lambda: _not_run(process, order), unwanted), 0.0)
            return
        line = f"__import__('builtins').exec({source!r}, {{'__builtins__': __import__('builtins')}})"
        call = give(process, line)
        try:
            answered(_held(call, workspace, order, unwanted), call.held_s)
        except CouldNotLook as error:
            refused(error)
        finally:
            _take_back(call, workspace, order.late_s)


def clear(process: Process) -> None:
    """Take back the memory of calls whose keepers were killed, when their lines have run; their folders."""
    for call, line, has_run in left_by_others(process):
        begun = begun_in(process, line)
        if begun or (begun is not None and has_run):
            call.take_back()
    remove_left(process)


def _by_remote_exec(process: Process) -> bool:
    """``sys.remote_exec`` takes both to be of the same version."""
    return process.version == REMOTE_EXEC and sys.version_info[:2] == REMOTE_EXEC


def check(process: Process) -> None:
    """Raise NotReadable when a process could not run what is brought into it."""
    tracer = tracer_of(process.pid)
    if tracer:
        raise NotReadable(
            f"process {process.pid} is traced by process {tracer}: no second tracer may bring code into it",
            hint=f"end process {tracer}, or look without --inject",
        )
    if process.state in {"T", "t"}:
        raise NotReadable(
            f"process {process.pid} is stopped: code brought into it would not run",
            hint=f"let it go on with `kill -CONT {process.pid}`, or look without --inject",
        )


def _held(call: Call, workspace: Workspace, order: Order, unwanted: Callable[[], bool]) -> bytes:
    process = call.process
    if call.wait(time.monotonic() + order.patience_s, process.check) == _NO_ROOM:
        raise CouldNotLook(
            f"process {process.pid} has too many pending calls",
            hint="its main thread has not run Python for long: look without --inject",
        )
    return _wait(process, workspace, order, lambda: _why_not(call, order), unwanted)


def _take_back(call: Call, workspace: Workspace, late_s: float) -> None:
    """Give the call's memory back, once its line has begun to run: until then it may still be read."""
    with contextlib.suppress(CouldNotLook):  # it ended, or does not stop: some pages stay
        until = time.monotonic() + late_s
        if not workspace.begun and call.result != _NO_ROOM:
            workspace.call_off()
        while not workspace.begun and call.result != _NO_ROOM:
            call.process.check()
            if time.monotonic() > until:
                return
            time.sleep(_LATE_POLL_S)
        until = time.monotonic() + _BACK_S
        while not call.take_back() and time.monotonic() < until:
            time.sleep(_POLL_S)


def _why_not(call: Call, order: Order) -> CouldNotLook:
    return CouldNotLook(
        f"process {call.process.pid} did not run the call within {order.patience_s:g} s: "
        "its main thread is in C code, or waits for something that does not come",
        hint="look without --inject; `py-spy dump --native` shows where the thread is",
    )


def _not_run(process: Process, order: Order) -> CouldNotLook:
    return CouldNotLook(
        f"process {process.pid} did not run the script within {order.patience_s:g} s",
        hint="its main thread runs no Python, or remote debugging is off (PYTHON_DISABLE_REMOTE_DEBUG)",
    )


def _wait(
    process: Process,
    workspace: Workspace,
    order: Order,
    refusal: Callable[[], CouldNotLook],
    unwanted: Callable[[], bool],
) -> bytes:
    begun = time.monotonic()
    while True:
        answer = workspace.read()
        if answer is not None:
            return answer
        process.check()
        waited = time.monotonic() - begun
        if waited > order.patience_s and not workspace.begun:
            raise refusal()
        if waited > order.patience_s + 2 * order.seconds:
            raise CouldNotLook(f"process {process.pid} gave no answer in {waited:.0f} s")
        if unwanted():
            raise CouldNotLook("nobody waits for the answer any more")
        time.sleep(_POLL_S)
