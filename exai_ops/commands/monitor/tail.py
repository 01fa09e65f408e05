"""``exai monitor tail``."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Final

import typer

from exai_ops.commands.monitor import options
from exai_ops.errors import CouldNotLook, TimeRanOut, UsageError
from exai_ops.settings import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

    from exai_ops.commands.monitor.feed import Feed
    from exai_ops.commands.monitor.lines import Lines
    from exai_ops.commands.monitor.source import Place
    from exai_ops.commands.monitor.tally import Tally
    from exai_ops.monitor.events import Event
    from exai_ops.monitor.wire import Subscribe

LAST_MOST: Final = 1_000_000


def tail(
    type_: options.Types = None,
    direction: options.Directions = None,
    function: options.Functions = None,
    grep: options.Grep = None,
    exclude: options.Exclude = None,
    errors: options.Errors = False,
    slower: options.Slower = None,
    session: options.Session = "",
    request: options.Request = "",
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="First what was kept from then on: 10m, or ISO 8601."),
    ] = None,
    last: Annotated[
        int, typer.Option("--last", metavar="N", help="First the last N that fit.", min=0, max=LAST_MOST)
    ] = 0,
    tz: options.Zone = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="text or ndjson; else text on a terminal, ndjson in a pipe."
        ),
    ] = None,
    template: Annotated[
        str | None, typer.Option("--template", metavar="TEXT", help="'{time} {type} {function} {ms}'")
    ] = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long, 60s or 5m; else until Ctrl-C.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for a daemon that is not there yet.")] = False,
    url: options.Url = None,
    port: options.Port = None,
    env_file: options.EnvFile = None,
) -> int:
    """Follow the daemon's traffic as it happens, filtered; say what was missed."""
    environ = environment(env_file)
    lines = _lines(
        format_,
        template,
        tz,
        environ.get("TZ"),
        plain=bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb",
    )
    wanted = options.filter_of(
        types=type_,
        directions=direction,
        functions=function,
        grep=grep,
        exclude=exclude,
        errors=errors,
        slower=slower,
        session=session,
        request=request,
    )
    if since is not None and last:
        raise UsageError("--last: is a number of events, --since a time", hint="give one of the two")
    since_s = None if since is None else options.instant_s(since, "--since", time.time())
    for_s = None if for_ is None else options.duration_s(for_, "--for")
    place = options.place(url, port, env_file)

    from exai_ops.commands.monitor.tally import Tally
    from exai_ops.monitor.wire import Subscribe

    target, tally, began = place.target, Tally(), time.monotonic()
    run = _Run(place, Subscribe(filter=wanted, since=since_s, last=last), lines, tally, for_s, wait=wait)
    try:
        code = run.follow()
    except KeyboardInterrupt:
        code = 130
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # after the terminal's ^C
    except CouldNotLook:
        _sum_up(run, tally, began)
        raise
    _sum_up(run, tally, began)
    if code == 0 and not run.feed.found:
        raise TimeRanOut(f"no daemon at {target.url} within {for_s:g} s")
    if code == 0 and not run.feed.connected:
        raise CouldNotLook(f"the daemon at {target.url} was lost and has not come back")
    return code


def _sum_up(run: _Run, tally: Tally, began: float) -> None:
    if run.feed.found or tally.events:
        for line in tally.lines(time.monotonic() - began):
            sys.stderr.write(line + "\n")


class _Run:
    """What is shown: the daemon's events, or first those on disk where there is no daemon.

    Attributes:
        feed: The daemon's.
    """

    def __init__(
        self, place: Place, asked: Subscribe, lines: Lines, tally: Tally, for_s: float | None, *, wait: bool
    ) -> None:
        from exai_ops.commands.monitor.feed import Feed

        self._place = place
        self._asked = asked
        self._lines = lines
        self._tally = tally
        self._wait = wait
        self._ends_at = None if for_s is None else time.monotonic() + for_s
        self._past = asked.since is not None and not place.elsewhere
        self.feed = Feed(place.target, asked, patient=wait and not self._past)

    def follow(self) -> int:
        """Show what comes until the time is over. Raises as ``Feed.frames``."""
        from exai_ops.client.connection import NotReachable
        from exai_ops.commands.monitor.feed import Feed
        from exai_ops.commands.monitor.source import files

        try:
            return self._live()
        except NotReachable as error:
            if not self._past:
                raise
            if files(self._place.folder):
                sys.stderr.write(f"exai: {error.message}; from disk ({self._place.folder}):\n")
                self._asked = self._from_disk()
            if not self._wait:
                raise
        self.feed = Feed(self._place.target, self._asked, patient=True)
        return self._live()

    def _live(self) -> int:
        left_s = None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())
        return asyncio.run(_follow(self.feed, self._lines, self._tally, left_s))

    def _from_disk(self) -> Subscribe:
        """Show what is there; what is to be asked for after that."""
        import msgspec

        from exai_ops.commands.monitor.source import Wanted, read_disk
        from exai_ops.monitor.export import encoded

        asked, last_s = self._asked, self._asked.since

        def take(events: Sequence[Event]) -> None:
            nonlocal last_s
            last_s = math.nextafter(events[-1].timestamp, math.inf)
            _show_events([msgspec.Raw(encoded(event)) for event in events], self._lines, self._tally)

        read_disk(self._place.folder, Wanted(filter=asked.filter, since_s=asked.since), take)
        return msgspec.structs.replace(asked, since=last_s)


def _lines(
    format_: str | None, template: str | None, tz: str | None, tz_variable: str | None, *, plain: bool
) -> Lines:
    """The format asked for. Raises UsageError."""
    from exai_ops.commands.monitor.clock import clock
    from exai_ops.commands.monitor.lines import Ndjson, Template, Text

    if format_ is not None and "{" in format_:
        template, format_ = template or format_, None
    shown = clock(tz, tz_variable)
    if template is not None:
        if format_ is not None:
            raise UsageError("--format: is what --template is for", hint="give one of the two")
        return Template(template, shown)
    terminal = sys.stdout.isatty()
    name = format_ or ("text" if terminal else "ndjson")
    if name == "text":
        return Text(shown, colour=terminal and not plain)
    if name == "ndjson":
        return Ndjson()
    raise UsageError(
        f"--format: {name!r} is not known", hint="text, ndjson, or a template such as '{time} {type}'"
    )


async def _follow(feed: Feed, lines: Lines, tally: Tally, for_s: float | None) -> int:
    """Show what comes until the time is over."""
    try:
        async with asyncio.timeout(for_s):
            await _show(feed, lines, tally)
    except TimeoutError:
        return 0
    raise AssertionError("a feed has no end")


async def _show(feed: Feed, lines: Lines, tally: Tally) -> None:
    from exai_ops.commands.monitor.feed import Lost, RawEvents
    from exai_ops.monitor.wire import Dropped, Gap, Problem, Subscribed

    lost = False
    async with aclosing(feed.frames()) as frames:
        async for frame in frames:
            if isinstance(frame, RawEvents):
                _show_events(frame.events, lines, tally)
            elif isinstance(frame, Dropped | Gap | Problem):
                tally.note(frame)
                sys.stdout.write(lines.note(frame))
                sys.stdout.flush()
            elif isinstance(frame, Lost):
                lost = True
                sys.stderr.write(f"exai: {frame.why}; trying again\n")
            elif isinstance(frame, Subscribed) and lost:
                lost = False
                sys.stderr.write("exai: connected again\n")


def _show_events(events: Sequence[Raw], lines: Lines, tally: Tally) -> None:
    from exai_ops.commands.monitor.lines import exported

    said = []
    for raw in events:
        event = exported(raw)
        tally.event(event)
        said.append(lines.event(event, raw))
    sys.stdout.write("".join(said))
    sys.stdout.flush()
