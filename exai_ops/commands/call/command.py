"""The command line of ``exai call``."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from exai_ops.commands.app import new_app
from exai_ops.errors import UsageError

if TYPE_CHECKING:
    from exai_ops.commands.call.run import Request

Url = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Address of the daemon, in place of EXAI_WS_HOST and EXAI_WS_PORT."),
]
Port = Annotated[int | None, typer.Option(metavar="N", help="Port of the daemon (EXAI_WS_PORT).")]
Format = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="FORMAT", help="text, ndjson or json; else text on a terminal, ndjson in a pipe."
    ),
]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="JSON", help="Arguments as an object; @FILE reads one, - reads stdin."),
]
Timeout = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="For the whole call; then it is cancelled.", min=0.01)
]
Retry = Annotated[
    int | None, typer.Option(metavar="N", help="How often OVER_CAPACITY is tried again.", min=0, max=1000)
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Leave once it is accepted, and print the id for --fetch.")
]
EnvFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="dotenv file to read beneath the environment.")
]

OWN: Final[dict[str, Any]] = {
    "url": Url,
    "port": Port,
    "format_": Format,
    "json_": Json,
    "timeout": Timeout,
    "retry": Retry,
    "detach": Detach,
    "env_file": EnvFile,
}
"""What may also stand among the tool's options."""
_EARLY: Final = (
    "--url",
    "--port",
    "--env-file",
)  # needed before the daemon can be asked for the tool's options

call = new_app()


@call.command(context_settings={"allow_interspersed_args": False})
def main(
    tool: Annotated[
        str | None, typer.Argument(metavar="TOOL", help="Name of the tool.", show_default=False)
    ] = None,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="...", help="Its options: exai call TOOL --help.", show_default=False),
    ] = None,
    *,
    url: Url = None,
    port: Port = None,
    format_: Format = None,
    json_: Json = None,
    timeout: Timeout = None,
    retry: Retry = None,
    detach: Detach = False,
    fetch: Annotated[
        str | None, typer.Option(metavar="ID", help="Get the result of a detached call, or of a lost one.")
    ] = None,
    env_file: EnvFile = None,
) -> int:
    """Call a tool of the running daemon: its text streams to a terminal, its frames to a pipe."""
    from exai_ops.client import Target
    from exai_ops.commands.call.run import Request, run
    from exai_ops.settings import environment, load

    if (tool is None) == (fetch is None):
        what = "give the name of a tool, or --fetch ID" if tool is None else "--fetch takes no tool"
        raise UsageError(what, hint="exai call listmodels")
    early, rest = take(words or (), _EARLY)
    if "--port" in early:
        port = _number(early["--port"])
    url = early.get("--url", url)
    if url is not None and port is not None:
        raise UsageError("--port: is in --url already", hint="give one of the two")
    given = {"url": url, "format_": format_, "json_": json_, "timeout": timeout}
    given |= {"retry": retry, "detach": detach}
    request = merge(Request(tool=tool, words=rest, fetch=fetch), given)
    settings = load(
        environment(Path(early["--env-file"]) if "--env-file" in early else env_file),
        overrides={} if port is None else {"ws_port": port},
    )
    if port is not None:  # a ticket of --fetch names an address, too
        request = dataclasses.replace(request, url=Target.of(settings).url)
    return asyncio.run(run(request, settings, OWN, merge))


def take(words: Sequence[str], names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The options of these names with their values, and the other words in order. Raises UsageError."""
    found: dict[str, str] = {}
    rest: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        if name not in names:
            rest.append(word)
            continue
        found[name] = value if equals else next(left, "")
        if not found[name]:
            raise UsageError(f"{name}: has no value")
    return found, rest


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise UsageError(f"--port: {text!r} is not a number")
    return int(text)


_FIELDS: Final = {"format_": "format", "json_": "document", "timeout": "timeout_s", "retry": "retries"}


def merge(request: Request, given: Mapping[str, Any]) -> Request:
    """A request with what a command line gives; what it leaves out stays."""
    said = {
        _FIELDS.get(name, name): value
        for name, value in given.items()
        if value not in (None, False) and name not in ("env_file", "port")
    }
    return dataclasses.replace(request, **said)
