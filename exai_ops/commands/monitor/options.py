"""What the commands of ``exai monitor`` take alike: which events, which daemon, which zone."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from exai_ops.commands.terminal import visible
from exai_ops.errors import UsageError

if TYPE_CHECKING:
    from exai_ops.client import Target
    from exai_ops.commands.monitor.source import Origin, Place, Wanted
    from exai_ops.monitor.wire import Filter
    from exai_ops.settings import Settings

_DURATION: Final = re.compile(r"(?P<number>\d{1,12}(?:\.\d{1,9})?)(?P<unit>ms|s|m|h|d)?")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}

Types = Annotated[
    list[str] | None, typer.Option("--type", metavar="NAME", help="websocket, sqlite, kimi, glm ...; commas.")
]
Directions = Annotated[
    list[str] | None, typer.Option("--direction", metavar="NAME", help="send, receive, error ...; commas.")
]
Functions = Annotated[
    list[str] | None, typer.Option("--function", metavar="NAME", help="What was done, as shown; commas.")
]
Grep = Annotated[
    list[str] | None,
    typer.Option("--grep", metavar="RE2", help="Only what this pattern is found in; may be repeated."),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="RE2", help="Not what this pattern is found in; may be repeated."),
]
Errors = Annotated[bool, typer.Option("--errors", help="Only errors, rejections and rate limits.")]
Slower = Annotated[
    str | None, typer.Option("--slower", metavar="TIME", help="Only what took longer: 500ms, 2s.")
]
Session = Annotated[str, typer.Option("--session", metavar="ID", help="Only of the session that begins so.")]
Request = Annotated[str, typer.Option("--request", metavar="ID", help="Only of the call that begins so.")]
Zone = Annotated[str | None, typer.Option("--tz", metavar="ZONE", help="Zone of times shown; else TZ's.")]
Url = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Address of the daemon, in place of EXAI_WS_HOST and EXAI_WS_PORT."),
]
Port = Annotated[int | None, typer.Option(metavar="N", help="Port of the daemon (EXAI_WS_PORT).")]
EnvFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Dotenv file beneath the environment; .env if it exists.")
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="From then on, from disk too: a time ago, 10m, or ISO 8601."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only what is earlier.")]
FromDisk = Annotated[bool, typer.Option("--from-disk", help="Ask no daemon: what is on disk.")]


def unicode(option: str, text: str) -> str:
    """The text of an option. Raises UsageError for bytes that are no UTF-8: no event's names hold such."""
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise UsageError(
            f"{option}: {visible(text, keep='')} is no UTF-8", hint="type it in a UTF-8 terminal"
        )
    return text


def filter_of(
    *,
    types: Sequence[str] | None = None,
    directions: Sequence[str] | None = None,
    functions: Sequence[str] | None = None,
    grep: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    errors: bool = False,
    slower: str | None = None,
    session: str = "",
    request: str = "",
) -> Filter:
    """The filter that the options ask for, looked over but for its types. Raises UsageError."""
    from exai_ops.monitor.filters import compiled
    from exai_ops.monitor.wire import Filter

    for option, some in (
        ("--type", types), ("--direction", directions), ("--function", functions),
        ("--session", [session]), ("--request", [request]),
    ):  # fmt: skip
        for text in some or ():
            unicode(option, text)
    wanted = Filter(
        types=_names("--type", types),
        directions=_names("--direction", directions),
        functions=_names("--function", functions),
        grep=tuple(grep or ()),
        exclude=tuple(exclude or ()),
        errors=errors,
        slower_ms=None if slower is None else 1000 * duration_s(slower, "--slower"),
        session=session.strip(),
        request=request.strip(),
    )
    compiled(wanted)
    return wanted


def _names(option: str, given: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(name.strip() for text in given or () for name in text.split(",") if name.strip())
    if given and not names:
        raise UsageError(f"{option}: names nothing")
    return names


def duration_s(text: str, option: str) -> float:
    """Seconds of ``500ms``, ``60s``, ``10m``, ``2h``, ``1d`` or ``2``. Raises UsageError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{option}: {text!r} is no length of time", hint="500ms, 60s, 10m, 2h or 1d")
    return float(match["number"]) * _SECONDS[match["unit"]]


def instant_s(text: str, option: str, now: float) -> float:
    """Seconds since the epoch of a time ago, ``10m``, or an ISO 8601 time with offset. Raises UsageError."""
    if _DURATION.fullmatch(text.strip()):
        return now - duration_s(text, option)
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        hint = "a time ago, as 10m, or a time as 2026-01-31T09:30+11:00"
        raise UsageError(f"{option}: {text!r} is no time", hint=hint) from None
    if at.tzinfo is None:
        raise UsageError(f"{option}: {text!r} has no offset", hint=f"{text.strip()}Z is UTC, or add +11:00")
    try:
        return at.timestamp()
    except OverflowError:
        raise UsageError(f"{option}: {text!r} is beyond what can be told") from None


def daemon(url: str | None, port: int | None, env_file: Path | None) -> tuple[Settings, Target]:
    """The settings, and the daemon that is meant. Raises UsageError."""
    from exai_ops.client import Target
    from exai_ops.settings import environment, load

    if url is not None and port is not None:
        raise UsageError("--port: is in --url already", hint="give one of the two")
    settings = load(environment(env_file), overrides={} if port is None else {"ws_port": port})
    return settings, Target.of(settings, url)


def wanted(asked: Filter, since: str | None, until: str | None, now: float) -> Wanted:
    """Events of a stretch of time; the daemon's totals too where all that it has is asked for.

    Raises UsageError for times that are none, or leave nothing between them.
    """
    from exai_ops.commands.monitor.source import EVERYTHING, Wanted

    since_s = None if since is None else instant_s(since, "--since", now)
    until_s = float("inf") if until is None else instant_s(until, "--until", now)
    if since_s is not None and until_s <= since_s:
        raise UsageError(
            "--until: is not after --since", hint="10m is ten minutes ago: --since 20m --until 10m"
        )
    whole = asked == EVERYTHING and since is None and until is None
    return Wanted(filter=asked, since_s=since_s, until_s=until_s, state=whole)


def place(url: str | None, port: int | None, env_file: Path | None, *, from_disk: bool = False) -> Place:
    """Where to look. Raises UsageError."""
    from exai_ops.commands.monitor.source import Place

    if from_disk and url is not None:
        raise UsageError("--from-disk: asks no daemon, --url names one", hint="give one of the two")
    settings, target = daemon(url, port, env_file)
    return Place(target=target, folder=settings.event_folder, from_disk=from_disk, elsewhere=url is not None)


def say_notes(origin: Origin) -> None:
    """What is missing, on stderr."""
    for note in origin.notes:
        sys.stderr.write(f"exai: {visible(note, keep='')}\n")


def width() -> int:
    """Columns of the terminal, or of COLUMNS; 120 where nobody knows."""
    return max(40, shutil.get_terminal_size((120, 24)).columns)
