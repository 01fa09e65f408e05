"""The process that brings the probe into another and cleans up after it, whatever becomes of who asked.

It has a session of its own and heeds no signal that can be held off, so that neither Ctrl-C nor the end of
its parent leaves a thread of the target half held, memory mapped or a folder behind. It ends by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from typing import Final

from exai_ops.errors import CouldNotLook
from exai_ops.sem.executable import NotReadable, NotSupported, ProcessGone
from exai_ops.sem.inject import means
from exai_ops.sem.inject.means import Order
from exai_ops.sem.process import Process

_KINDS: Final = {kind.__name__: kind for kind in (NotReadable, NotSupported, ProcessGone)}
_HELD_OFF: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_EARLIER: Final = -10
_CLEAN_S: Final = 30.0
_END_S: Final = 2.0


def ask(process: Process, order: Order) -> tuple[bytes, float]:
    """(the probe's answer, for how long the main thread was held), by a keeper of its own.

    Raises:
        CouldNotLook: It is not allowed, or the process does not get to run it.
    """
    words = [str(process.pid), str(process.start_ticks), json.dumps(order)]
    keeper = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", __spec__.name, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        head = keeper.stdout.readline() if keeper.stdout else b""
        answer = keeper.stdout.read() if keeper.stdout else b""
        last = b"" if head or keeper.stderr is None else keeper.stderr.read()
        if answer:
            with contextlib.suppress(subprocess.TimeoutExpired):
                keeper.wait(_CLEAN_S)  # the process is as it was when this is back
    finally:
        _leave(keeper)
    return answer, _held_s(head, last)


def _held_s(head: bytes, last: bytes) -> float:
    try:
        said = json.loads(head)
    except ValueError:
        words = last.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
        raise CouldNotLook(f"what was to look from within ended, and said: {words[-1]}") from None
    if "error" in said:
        raise _KINDS.get(said["kind"], CouldNotLook)(said["error"], hint=said["hint"])
    return float(said["held_s"])


def _leave(keeper: subprocess.Popen[bytes]) -> None:
    """Say that no answer is wanted any more; it cleans up, for a process that is late in the background."""
    for pipe in (keeper.stdin, keeper.stdout, keeper.stderr):
        if pipe is not None:
            pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        keeper.wait(_END_S)
    keeper.returncode = keeper.returncode or 0  # one that goes on is not ours to wait for


def main() -> int:
    """Do what ``ask`` asks for, and answer by a line of JSON, with the probe's answer after it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_OFF)
    with contextlib.suppress(OSError):
        os.nice(_EARLIER)  # the target's thread is held for as long as this one needs
    pid, ticks, order = int(sys.argv[1]), int(sys.argv[2]), Order(*json.loads(sys.argv[3]))
    try:
        process = Process.open(pid)
        if process.start_ticks != ticks:
            raise ProcessGone(f"process {pid} ended during the scan")
    except CouldNotLook as error:
        _refused(error)
        return 0
    means.run(process, order, _answered, _refused, _unwanted)
    return 0


def _answered(answer: bytes, held_s: float) -> None:
    _say(json.dumps({"held_s": held_s}).encode() + b"\n" + answer)


def _refused(error: CouldNotLook) -> None:
    _say(
        json.dumps({"kind": type(error).__name__, "error": error.message, "hint": error.hint}).encode()
        + b"\n"
    )


def _say(data: bytes) -> None:
    """Once, to its end: the pipe is then closed, while this process goes on."""
    with contextlib.suppress(OSError):  # nobody reads it
        left = memoryview(data)
        while left:
            left = left[os.write(1, left) :]
    with contextlib.suppress(OSError):
        os.close(1)


def _unwanted() -> bool:
    """Whether the parent has ended, or closed its end of the pipe."""
    return bool(select.select([0], [], [], 0)[0])


if __name__ == "__main__":
    sys.exit(main())
