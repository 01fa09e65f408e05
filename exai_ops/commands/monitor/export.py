"""``exai monitor export``."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exai_ops.commands.monitor import options

if TYPE_CHECKING:
    from exai_ops.commands.monitor.output import Destination
    from exai_ops.commands.monitor.source import Origin, Place, Wanted
    from exai_ops.monitor.events import Event
    from exai_ops.monitor.stats import Counted


def export(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; else, or with -, stdout."),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="json, ndjson, csv or sqlite; else by FILE's ending."
        ),
    ] = None,
    compress: Annotated[
        str | None,
        typer.Option("--compress", metavar="HOW", help="gz or zst; else by FILE's ending, .gz or .zst."),
    ] = None,
    type_: options.Types = None,
    direction: options.Directions = None,
    function: options.Functions = None,
    grep: options.Grep = None,
    exclude: options.Exclude = None,
    errors: options.Errors = False,
    slower: options.Slower = None,
    session: options.Session = "",
    request: options.Request = "",
    since: options.Since = None,
    until: options.Until = None,
    from_disk: options.FromDisk = False,
    url: options.Url = None,
    port: options.Port = None,
    env_file: options.EnvFile = None,
) -> int:
    """Write events to a file, whole or not at all: the daemon's, or those on disk when there is none."""
    from exai_ops.commands.monitor.output import Destination

    wanted_filter = options.filter_of(
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
    wanted = options.wanted(wanted_filter, since, until, time.time())
    destination = Destination(output, format_, compress)
    _export(options.place(url, port, env_file, from_disk=from_disk), wanted, destination)
    return 0


def _export(place: Place, wanted: Wanted, destination: Destination) -> None:
    from exai_ops.commands.monitor import source
    from exai_ops.commands.monitor.output import Output
    from exai_ops.commands.monitor.progress import Bar
    from exai_ops.monitor.state_stats import summary_of
    from exai_ops.monitor.stats import Counted

    counted, bar = Counted(), Bar(wanted.since_s, min(time.time(), wanted.until_s))
    with Output(destination) as output:
        with contextlib.closing(bar):

            def take(events: Sequence[Event]) -> None:
                output.add(events)
                counted.add(events)
                bar.take(events)

            origin = source.read(place, wanted, take)
        output.end(counted.summary() if origin.state is None else summary_of(origin.state))
    _say(origin, counted, destination)


def _say(origin: Origin, counted: Counted, destination: Destination) -> None:
    options.say_notes(origin)
    stand = f" (for {counted.stand_for:,})" if counted.stand_for != counted.kept else ""
    events = f"{counted.kept:,} event{'' if counted.kept == 1 else 's'}{stand}"
    summary = "of what was exported" if origin.state is None else "of all since the daemon's start"
    said = f"; the summary is {summary}" if destination.format in ("json", "sqlite") else ""
    sys.stderr.write(f"exai: {events} from {origin.words} to {destination.words}{said}\n")
