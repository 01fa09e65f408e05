"""``exai sem top``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from exai_ops.commands.screen import Screen
from exai_ops.commands.sem.options import one_process, pause_s
from exai_ops.errors import UsageError

if TYPE_CHECKING:
    from exai_ops.sem.check import Scanner
    from exai_ops.sem.screen import Sort

_HOME: Final = "\x1b[H"
_KEYS: Final[dict[str, Sort]] = {"v": "verdict", "w": "waiters", "n": "name", "h": "held"}


def top(
    target: Annotated[str, typer.Argument(metavar="PID|NAME", help="The process to look at.")],
    every: Annotated[str, typer.Option("--every", help="Between two looks: 500ms, 2s.")] = "1s",
) -> int:
    """Show a process's semaphores, live: q ends, p pauses, v w h n sort."""
    every_s = pause_s(every)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "exai sem top needs a terminal", hint="exai sem watch PID --format ndjson is for a pipe"
        )
    pid = one_process(target)
    from exai_ops.sem.passive.whole import WholeScanner

    with WholeScanner(pid) as scanner, Screen() as terminal:
        _show(scanner, terminal, every_s)
    return 0


def _show(scanner: Scanner, terminal: Screen, every_s: float) -> None:
    from exai_ops.sem.follow import Follower
    from exai_ops.sem.screen import screen

    follower = Follower()
    sort: Sort = "verdict"
    paused = False
    scan = scanner.scan()
    follower.see(scan)
    next_s = time.monotonic() + every_s
    while True:
        width, height = terminal.size()
        text = screen(scan, follower.judgements(scan), sort=sort, paused=paused, width=width, height=height)
        terminal.write(_HOME + text)
        for key in terminal.wait(next_s - time.monotonic()):
            if key == "q":
                return
            paused = not paused if key == "p" else paused
            sort = _KEYS.get(key, sort)
        if time.monotonic() >= next_s:
            next_s = time.monotonic() + every_s
            if not paused:
                scan = scanner.scan()
                follower.see(scan)
