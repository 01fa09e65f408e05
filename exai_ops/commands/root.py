"""The root command, and how a command line becomes a call of one of its commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

import exai_ops
from exai_ops.commands.app import LazyGroup, new_app
from exai_ops.commands.entry import Entry
from exai_ops.errors import ExaiError, UsageError

EXIT_INTERRUPTED: Final = 130


def invoke(args: Sequence[str], commands: Mapping[str, Entry]) -> int:
    """Run a command by the two steps of click's own ``main``, whose other half would turn a broken pipe
    into 1, an interrupt into a plain Exit, and every error into its own print. Raises ExaiError.
    """
    command = typer.main.get_command(_app(commands))
    try:
        with command.make_context("exai", list(args)) as ctx:
            result = command.invoke(ctx)
            return result if isinstance(result, int) else 0
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        return EXIT_INTERRUPTED
    except ExaiError:
        raise
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _usage(error)


def _app(commands: Mapping[str, Entry]) -> typer.Typer:
    class RootGroup(LazyGroup):
        def entries(self) -> Mapping[str, Entry]:
            return commands

    app = new_app(cls=RootGroup, no_args_is_help=True)
    app.callback()(_root)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"exai {exai_ops.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Operations toolkit of a daemon that serves AI tools over Kimi and GLM."""


def _usage(error: Any) -> int:
    """An error of the command line parser as one of ours. Its classes are private.

    Without any argument the parser's message is the whole help, which is shown as it is.
    """
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if context is None or message == context.get_help():
        typer.echo(message, err=True)
        return int(error.exit_code)
    raise UsageError(message.rstrip("."), hint=f"{context.command_path} --help lists what it takes")
