"""``exai monitor stats``."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Final

import typer

from exai_ops.commands.monitor import options
from exai_ops.errors import UsageError
from exai_ops.settings import environment

MINUTE_S: Final = 60.0

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exai_ops.commands.monitor.source import Origin, Place, Wanted
    from exai_ops.commands.monitor.stats_table import Report


def stats(
    by: Annotated[
        str, typer.Option("--by", metavar="KEYS", help="type, function, direction, or some; commas.")
    ] = "type",
    sort: Annotated[
        str,
        typer.Option(
            metavar="ORDER", help="events, errors, error-share, rate, bytes, mean, p50, p95, p99, name."
        ),
    ] = "events",
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
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    tz: options.Zone = None,
    url: options.Url = None,
    port: options.Port = None,
    env_file: options.EnvFile = None,
) -> int:
    """Totals, rates and percentiles: what the daemon has counted, or of the events that fit."""
    from exai_ops.commands.monitor.clock import clock
    from exai_ops.commands.monitor.stats_table import as_json, as_text

    if format_ not in ("text", "json"):
        raise UsageError(f"--format: {format_!r} is not known", hint="text or json")
    environ = environment(env_file)
    shown_in = clock(tz, environ.get("TZ"))
    keys, order = keys_of(by), order_of(sort)
    asked = options.filter_of(
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
    wanted = options.wanted(asked, since, until, time.time())
    report = _report(options.place(url, port, env_file, from_disk=from_disk), wanted, keys, order)
    if format_ == "json":
        sys.stdout.write(as_json(report) + "\n")
    else:
        colour = sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        sys.stdout.write(as_text(report, shown_in, options.width(), colour=colour))
    return 0


def keys_of(text: str) -> tuple[str, ...]:
    """Of ``--by``, in the order given. Raises UsageError."""
    from exai_ops.monitor.stats import KEYS

    return tuple(dict.fromkeys(_one_of("--by", name.strip(), KEYS) for name in text.split(",")))


def order_of(text: str) -> str:
    """Of ``--sort``. Raises UsageError."""
    from exai_ops.monitor.stats import ORDERS

    return _one_of("--sort", text.strip(), ORDERS)


def _one_of(option: str, name: str, known: Sequence[str]) -> str:
    if name in known:
        return name
    near = get_close_matches(name.lower(), known, 1, 0.6)
    hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"
    raise UsageError(f"{option}: {name!r} is not known", hint=hint)


def _report(place: Place, wanted: Wanted, by: tuple[str, ...], order: str) -> Report:
    """Of a daemon's counts where they can tell, else of events."""
    from exai_ops.commands.monitor import source
    from exai_ops.commands.monitor.stats_table import needs_events, of_events, of_state
    from exai_ops.monitor.state_stats import countable
    from exai_ops.monitor.stats import Counted

    now, counted = time.time(), Counted(by)
    asked = events = replace(wanted, state=False)
    of_all_time = wanted.since_s is None and wanted.until_s == float("inf")
    if of_all_time and countable(wanted.filter):
        minute = needs_events(by, wanted.filter)
        asked = replace(wanted, since_s=now - MINUTE_S if minute else None, events=minute, state=True)
    origin = source.read(place, asked, counted.add, on_disk=events)
    _say(origin)
    if origin.state is not None:
        return of_state(origin.state, counted if asked.events else None, by, order, wanted.filter)
    end_s = min(now, wanted.until_s)
    return of_events(counted, by, order, live=origin.live, begin_s=wanted.since_s, end_s=end_s)


def _say(origin: Origin) -> None:
    """Which it is, on stderr."""
    options.say_notes(origin)
    what = "counted by" if origin.state is not None else "computed from the events that are kept by"
    what = what if origin.live else "computed from the events that are kept on"
    sys.stderr.write(f"exai: {what} {origin.words}\n")
