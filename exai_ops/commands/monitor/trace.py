"""``exai monitor trace``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from exai_ops.commands.monitor import options
from exai_ops.errors import ExaiError, UsageError
from exai_ops.settings import environment

if TYPE_CHECKING:
    from exai_ops.commands.monitor.clock import Clock
    from exai_ops.commands.monitor.source import Origin, Place, Wanted
    from exai_ops.monitor.events import Event
    from exai_ops.monitor.trace import CallKey, Span

LISTED: Final = 20
"""Calls that are named where several begin so."""


def trace(
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="Id of a call, or how it begins.")],
    session: options.Session = "",
    events: Annotated[bool, typer.Option("--events", help="List the call's events, too.")] = False,
    from_disk: options.FromDisk = False,
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    tz: options.Zone = None,
    url: options.Url = None,
    port: options.Port = None,
    env_file: options.EnvFile = None,
) -> int:
    """Show where one call's time went: from the daemon's memory, else from disk."""
    from exai_ops.commands.monitor.clock import clock
    from exai_ops.commands.monitor.source import Wanted
    from exai_ops.monitor.lookup import told
    from exai_ops.monitor.trace import spans

    if format_ not in ("text", "json"):
        raise UsageError(f"--format: {format_!r} is not known", hint="text or json")
    if not request.strip():
        raise UsageError("REQUEST: is empty", hint="exai monitor tail shows ids, as request=ID")
    shown_in = clock(tz, environment(env_file).get("TZ"))
    asked = options.filter_of(request=request, session=session)
    search = _Search(options.place(url, port, env_file, from_disk=from_disk), Wanted(filter=asked))
    key, found = search.call(shown_in)
    parts = spans(found)
    sys.stderr.write(f"exai: from {' and '.join(search.origins)}\n")
    if format_ == "json":
        sys.stdout.write(
            json.dumps({"schema_version": 1} | told(key, parts, found), indent=2, default=str) + "\n"
        )
    else:
        sys.stdout.write(_text(key, parts, found, shown_in, listed=events))
    return 0


@dataclass
class _Search:
    """Looks in the daemon's memory first, then on disk.

    Attributes:
        origins: Where what was found comes from.
        searched: Where it was looked for.
    """

    place: Place
    wanted: Wanted
    origins: list[str] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)

    def call(self, clock: Clock) -> tuple[CallKey, list[Event]]:
        """The call meant, with its events. Raises ExaiError for none, UsageError for several."""
        from exai_ops.monitor.lookup import complete, meant, merged

        found, origin = self._ask()
        if not found and origin.live:
            found = self._older()
        if not found:
            where = ", nor on ".join(self.searched)
            raise ExaiError(
                f"no call whose id begins with {self.wanted.filter.request!r} is known to {where}",
                hint="exai monitor tail --since 1h shows ids, as request=ID",
            )
        keys = meant(found, self.wanted.filter.request)
        if len(keys) > 1:
            raise _several(self.wanted.filter.request, {key: found[key] for key in keys}, clock)
        events = found[keys[0]]
        if origin.live and not complete(events):
            events = merged(self._older().get(keys[0], []), events)
        return keys[0], events

    def _ask(self) -> tuple[Mapping[CallKey, list[Event]], Origin]:
        from exai_ops.commands.monitor import source

        taken: list[Event] = []
        origin = source.read(self.place, self.wanted, taken.extend)
        options.say_notes(origin)
        return self._found(taken, origin), origin

    def _older(self) -> Mapping[CallKey, list[Event]]:
        """What is on disk, read here where that is the daemon's, else by the daemon."""
        from exai_ops.commands.monitor import source

        taken: list[Event] = []
        if self.place.elsewhere:
            origin = source.read(self.place, replace(self.wanted, since_s=0.0), taken.extend)
            origin.words += "'s disk"
        elif source.files(self.place.folder):
            origin = source.read_disk(self.place.folder, self.wanted, taken.extend)
        else:
            return {}
        return self._found(taken, origin)

    def _found(self, taken: Sequence[Event], origin: Origin) -> Mapping[CallKey, list[Event]]:
        from exai_ops.monitor.trace import calls

        found = calls(taken, self.wanted.filter.request, self.wanted.filter.session)
        self.searched.append(origin.words)
        if found:
            self.origins.append(origin.words)
        return found


def _several(request: str, found: Mapping[CallKey, list[Event]], clock: Clock) -> UsageError:
    from exai_ops.commands.terminal import visible
    from exai_ops.monitor.trace import spans

    sys.stderr.write("exai: several calls begin so:\n")
    newest = sorted(found, key=lambda key: found[key][-1].timestamp, reverse=True)
    for key in newest[:LISTED]:
        call = spans(found[key])[0]
        at = clock.at(call.started_at)
        line = f"{key[1]}  --session {key[0]}  {at.date} {at.time} {at.zone}  {call.name}"
        sys.stderr.write(f"  {visible(line, keep='')}\n")
    if len(newest) > LISTED:
        sys.stderr.write(f"  and {len(newest) - LISTED:,} older ones\n")
    what = f"{request!r} is the beginning of {len(newest):,} calls"
    return UsageError(what, hint="give more of the id, or --session")


def _text(key: CallKey, parts: Sequence[Span], found: Sequence[Event], clock: Clock, *, listed: bool) -> str:
    from exai_ops.commands.monitor.lines import clean, duration
    from exai_ops.monitor.trace import waterfall

    call, at = parts[0], clock.at(parts[0].started_at)
    end = "not ended" if call.open else call.error or "ok"
    took = f"{duration(call.duration_ms)}{'+' if call.open else ''}"
    head = f"{call.name} {key[1]}  session {key[0]}"
    lines = [
        clean(head),
        clean(f"{at.date} {at.time} {at.zone}  {took}  {end}"),
        "",
        waterfall(parts, options.width()),
    ]
    if listed:
        lines += ["", *(_event(event, clock) for event in found)]
    return "\n".join(lines) + "\n"


def _event(event: Event, clock: Clock) -> str:
    from exai_ops.commands.monitor.lines import clean, duration, size
    from exai_ops.monitor.filters import shown_metadata

    rest = {
        name: value for name, value in (event.metadata or {}).items() if name not in ("session", "request")
    }
    took = "" if event.response_time_ms is None else duration(event.response_time_ms)
    what = f"{event.connection_type:<9} {event.direction:<10} {event.function_name:<16}"
    line = f"{clock.at(event.timestamp).time}  {what} {size(event.data_size_bytes):>9} {took:>9}"
    return clean(f"{line} {event.error or ''} {shown_metadata(rest)}".rstrip())
