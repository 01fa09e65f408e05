"""``exai sem top``."""

from __future__ import annotations

import contextlib
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from exai_ops.commands.sem.options import one_process, pause_s
from exai_ops.errors import UsageError

if TYPE_CHECKING:
    from exai_ops.sem.check import Scanner
    from exai_ops.sem.screen import Sort

_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
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

    with WholeScanner(pid) as scanner, _terminal():
        _show(scanner, every_s)
    return 0


def _show(scanner: Scanner, every_s: float) -> None:
    from exai_ops.sem.follow import Follower
    from exai_ops.sem.screen import screen

    follower = Follower()
    sort: Sort = "verdict"
    paused = False
    scan = scanner.scan()
    follower.see(scan)
    while True:
        size = shutil.get_terminal_size()
        text = screen(
            scan,
            follower.judgements(scan),
            sort=sort,
            paused=paused,
            width=size.columns,
            height=size.lines,
        )
        sys.stdout.write(_HOME + text)
        sys.stdout.flush()
        key = _key(every_s)
        if key in ("q", "\x03"):
            return
        paused = not paused if key == "p" else paused
        sort = _KEYS.get(key, sort)
        if not key and not paused:
            scan = scanner.scan()
            follower.see(scan)


def _key(wait_s: float) -> str:
    """A key that was pressed within the time, or nothing."""
    until_s = time.monotonic() + wait_s
    ready, _, _ = select.select([sys.stdin], [], [], max(0.0, until_s - time.monotonic()))
    return sys.stdin.read(1) if ready else ""


@contextlib.contextmanager
def _terminal() -> Iterator[None]:
    """The other screen, keys as they come; put back whatever happens."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    sys.stdout.write(_ENTER)
    try:
        tty.setcbreak(number)
        yield
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
