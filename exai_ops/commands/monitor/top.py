"""``exai monitor top``."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from exai_ops.commands.monitor import options
from exai_ops.errors import CouldNotLook, UsageError
from exai_ops.settings import environment

if TYPE_CHECKING:
    from exai_ops.client import Target
    from exai_ops.commands.monitor.clock import Clock
    from exai_ops.monitor.screen.view import View
    from exai_ops.monitor.wire import State

STATE_S: Final = 10.0
"""How long ``--once`` waits for a daemon's state once it is connected."""
_PIPE: Final = "exai monitor top --once prints one frame; exai monitor tail is for a pipe"


def top(
    sort: Annotated[
        str,
        typer.Option("--sort", metavar="NAME", help="name, rate, events, errors, p50, p95, p99 or bytes."),
    ] = "rate",
    show: Annotated[
        str, typer.Option("--show", metavar="TABLE", help="types, functions, holders or sessions.")
    ] = "types",
    filter_: Annotated[
        str, typer.Option("--filter", metavar="WORDS", help="Only rows that hold all these words.")
    ] = "",
    every: Annotated[
        str, typer.Option("--every", metavar="TIME", help="Between two looks, at least 1s.")
    ] = "1s",
    once: Annotated[bool, typer.Option("--once", help="Print one frame as text, and end.")] = False,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="text or json; json is for --once.")
    ] = None,
    tz: options.Zone = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for a daemon that is not there yet.")] = False,
    url: options.Url = None,
    port: options.Port = None,
    env_file: options.EnvFile = None,
) -> int:
    """Watch the daemon live: rates, percentiles, permits and who holds them; q ends, h says the keys."""
    from exai_ops.commands.monitor.clock import clock

    environ = environment(env_file)
    view = _view(sort, show, filter_)
    every_s = options.duration_s(every, "--every")
    if not 1 <= every_s <= 3600:
        raise UsageError(f"--every: {every!r} is not from 1s to 1h")
    if format_ not in (None, "text", "json"):
        raise UsageError(f"--format: {format_!r} is not known", hint="text or json")
    if format_ == "json" and not once:
        raise UsageError("--format json is for --once", hint="exai monitor top --once --format json")
    if not once and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("exai monitor top needs a terminal", hint=_PIPE)
    shown = clock(tz, environ.get("TZ"))
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
    _, target = options.daemon(url, port, env_file)
    if once:
        state = asyncio.run(_first(target, wait=wait))
        _print(state, target, view, shown, plain=plain, json=format_ == "json")
        return 0
    from exai_ops.commands.monitor.live import watch

    asyncio.run(watch(target, view, shown, every_s=every_s, colour=not plain, wait=wait))
    return 0


def _view(sort: str, show: str, filter_: str) -> View:
    """The view to begin with. Raises UsageError."""
    from exai_ops.monitor.screen.view import SORTS, TABLES, View

    by = next((one for one in SORTS if one == sort), None)
    table = next((one for one in TABLES if one == show), None)
    if by is None:
        raise UsageError(f"--sort: {sort!r} is not known", hint=", ".join(SORTS))
    if table is None:
        raise UsageError(f"--show: {show!r} is not known", hint=", ".join(TABLES))
    return View(table=table, sort=by, filter=filter_)


async def _first(target: Target, *, wait: bool) -> State:
    """One state. Raises CouldNotLook."""
    from contextlib import aclosing

    from exai_ops.commands.monitor.feed import Feed
    from exai_ops.monitor.wire import State, Subscribe

    feed = Feed(target, Subscribe(events=False, state_every_s=1), patient=wait)
    async with aclosing(feed.frames()) as frames:
        await anext(frames)
        try:
            async with asyncio.timeout(STATE_S):
                async for frame in frames:
                    if isinstance(frame, State):
                        return frame
        except TimeoutError:
            pass
    raise CouldNotLook(f"the daemon at {target.url} sent no state", hint="exai status says what it is doing")


def _print(state: State, target: Target, view: View, clock: Clock, *, plain: bool, json: bool) -> None:
    import msgspec

    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(state), indent=2).decode() + "\n")
        return
    import shutil

    from exai_ops.commands.monitor.live import Live
    from exai_ops.monitor.screen.text import painted
    from exai_ops.monitor.screen.text import plain as unpainted

    live = Live(target.url, view, clock)
    live.take(state)
    terminal = sys.stdout.isatty()
    lines = live.lines(shutil.get_terminal_size((120, 0)).columns, None)
    paint = painted if terminal and not plain else unpainted
    sys.stdout.write("".join(paint(line).rstrip() + "\n" for line in lines))
