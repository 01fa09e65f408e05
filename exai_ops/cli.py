"""The root command: names and help of every command here, their modules imported when they are run.

``main`` is the one edge of the process where a failure becomes text and an exit code:

====  ==========================================================================
0     done, or nothing found
1     findings, or the thing asked for failed
2     usage: an option, an argument, a setting
3     could not look: what should be asked is not reachable
70    a bug of ours; its traceback is on stderr
124   a ``--wait`` or ``--timeout`` ran out
130   interrupted
141   the reader of stdout went away, as SIGPIPE would have said
====  ==========================================================================
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup

import exai_ops
from exai_ops.commands.app import new_app
from exai_ops.commands.terminal import visible
from exai_ops.errors import ExaiError, SettingsError

EXIT_BUG: Final = 70
EXIT_INTERRUPTED: Final = 130
EXIT_PIPE: Final = 141


class Entry(NamedTuple):
    """Where a command lives: ``attribute`` of ``module`` is its function, or its typer app."""

    module: str
    attribute: str
    help: str


COMMANDS: Final[Mapping[str, Entry]] = {
    "serve": Entry("exai_ops.commands.serve", "serve", "Run the daemon until it is told to stop."),
    "stop": Entry("exai_ops.commands.control", "stop", "Ask the running daemon to drain and end."),
    "status": Entry("exai_ops.commands.control", "status", "Say what the running daemon is doing."),
    "call": Entry("exai_ops.commands.call", "call", "Call a tool of the running daemon."),
    "sim": Entry("exai_ops.commands.sim", "sim", "Serve simulated providers, with faults on demand."),
    "mcp": Entry("exai_ops.commands.mcp", "mcp", "Bridge MCP over stdio to the running daemon."),
    "settings": Entry("exai_ops.commands.settings", "settings", "Check, show and document the settings."),
    "version": Entry("exai_ops.commands.version", "version", "Print the versions in use."),
}


class LazyGroup(TyperGroup):
    """A group that lists its commands from ``COMMANDS`` and imports one when it is run.

    Contexts and formatters are ``Any``: their classes live in ``typer._click``, which is private, and
    ``typer.Context`` is a subclass of what a group is handed.
    """

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]  # names, for the suggestions

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else _load(cmd_name, entry)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def _load(name: str, entry: Entry) -> Any:
    target = getattr(importlib.import_module(entry.module), entry.attribute)
    if not isinstance(target, typer.Typer):
        app = new_app()
        app.command(name)(target)
        target = app
    command = typer.main.get_command(target)
    command.name = name
    return command


app = new_app(cls=LazyGroup, no_args_is_help=True)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"exai {exai_ops.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Operations toolkit of a daemon that serves AI tools over Kimi and GLM."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; ``args`` default to the process's own."""
    _open_closed_streams()
    try:
        code = _invoke(sys.argv[1:] if args is None else list(args))
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        return EXIT_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the boundary of the process
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) and not error.filename:
            _drop_stdout()
            report(ExaiError(f"stdout cannot be written: {error.strerror}"))
            return ExaiError.exit_code
        _report_bug()
        return EXIT_BUG
    return code


def _open_closed_streams() -> None:
    """Give a process that was started with ``>&-`` somewhere to write, before a file gets that number."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: PTH123, SIM115


def _invoke(args: list[str]) -> int:
    """Run a command by the two steps of click's own ``main``, whose other half would turn a broken pipe
    into 1, an interrupt into a plain Exit, and every error into its own print.
    """
    command = typer.main.get_command(app)
    try:
        with command.make_context("exai", args) as ctx:
            result = command.invoke(ctx)
            return result if isinstance(result, int) else 0
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        return EXIT_INTERRUPTED
    except ExaiError as error:
        report(error)
        return error.exit_code
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _usage(error)


def _usage(error: Any) -> int:
    """Show an error of the command line parser: its classes are private, its ``show`` is not."""
    show = getattr(error, "show", None)
    show() if show else typer.echo(f"exai: error: {error.format_message()}", err=True)
    return int(error.exit_code)


def report(error: ExaiError) -> None:
    """Write a failure to stderr: a line per problem, and what to do."""
    problems = error.problems if isinstance(error, SettingsError) else [error.message]
    for problem in problems:
        typer.echo(f"exai: error: {_one_line(problem)}", err=True)
    if error.hint:
        typer.echo(f"hint: {_one_line(error.hint)}", err=True)


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()), keep="")


def _drop_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's own flush at exit stays quiet."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def _report_bug() -> None:
    import traceback

    from exai_ops.logs import Redactor
    from exai_ops.settings import secrets_in

    text = traceback.format_exc() + "exai: this is a bug of exai; the traceback above says where\n"
    sys.stderr.write(Redactor(secrets_in())(text))
