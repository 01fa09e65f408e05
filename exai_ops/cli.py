"""The root command: names and help of every command here, their modules imported when they are run.

``main`` is the one edge of the process where a failure becomes text and an exit code:

====  ==========================================================================
0     done, or nothing found
1     findings, or the thing asked for failed
2     usage: an option, an argument, a setting
3     could not look: what should be asked is not reachable
70    a bug of ours; its traceback is on stderr
74    stdout cannot be written, so that nothing was said
124   a ``--wait`` or ``--timeout`` ran out
130   interrupted
141   the reader of stdout went away, as SIGPIPE would have said
143   ``serve`` was told to end by SIGTERM, and did
====  ==========================================================================
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from exai_ops.commands.entry import Entry
from exai_ops.commands.terminal import visible
from exai_ops.errors import ExaiError, SettingsError

EXIT_BUG: Final = 70
EXIT_OUTPUT: Final = 74
EXIT_INTERRUPTED: Final = 130
EXIT_PIPE: Final = 141


COMMANDS: Final[Mapping[str, Entry]] = {
    "serve": Entry("exai_ops.commands.serve", "serve", "Run the daemon until it is told to stop."),
    "stop": Entry("exai_ops.commands.stop", "stop", "Ask the running daemon to drain and end."),
    "status": Entry("exai_ops.commands.status", "status", "Say what the running daemon is doing."),
    "call": Entry("exai_ops.commands.call", "call", "Call a tool of the running daemon."),
    "sim": Entry("exai_ops.commands.sim", "sim", "Serve simulated providers, with faults on demand."),
    "mcp": Entry("exai_ops.commands.mcp", "mcp", "Bridge MCP over stdio to the running daemon."),
    "settings": Entry("exai_ops.commands.settings", "settings", "Check, show and document the settings."),
    "env": Entry("exai_ops.commands.env.app", "env", "Check, explain, compare and mend environment files."),
    "sem": Entry("exai_ops.commands.sem.app", "sem", "Find permits that leak, in any live Python process."),
    "monitor": Entry("exai_ops.commands.monitor.app", "monitor", "See the daemon's traffic, live and after."),
    "version": Entry("exai_ops.commands.version", "version", "Print the versions in use."),
}
QUICK: Final[Mapping[tuple[str, ...], str]] = {("env", "check"): "exai_ops.commands.env.checking"}
"""Modules whose ``quickly(args)`` does what the command does, or gives None where typer must see to it:
the import of typer is half of what such a command takes.
"""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; ``args`` default to the process's own."""
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # what its encoding lacks is said, as stderr does by itself
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(sys.argv[1:] if args is None else list(args))
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
            return EXIT_OUTPUT
        _report_bug()
        return EXIT_BUG
    return code


def _open_closed_streams() -> None:
    """Give a process that was started with ``>&-`` somewhere to write, before a file gets that number."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: PTH123, SIM115


def _run(args: list[str]) -> int:
    """The exit code of a command; one of ``QUICK`` is run without typer when its arguments are plain."""
    try:
        quick = QUICK.get(tuple(args[:2]))
        done = None if quick is None else importlib.import_module(quick).quickly(args[2:])
        if done is not None:
            return int(done)
        from exai_ops.commands.root import invoke

        return invoke(args, COMMANDS)
    except ExaiError as error:
        report(error)
        return error.exit_code


def report(error: ExaiError) -> None:
    """Write a failure to stderr: a line per problem, and what to do, with commands as they can be typed."""
    problems = error.problems if isinstance(error, SettingsError) else [error.message]
    for problem in problems:
        sys.stderr.write(f"exai: error: {_one_line(problem)}\n")
    if error.hint:
        from exai_ops.commands.program import spelled

        sys.stderr.write(f"hint: {_one_line(spelled(error.hint, COMMANDS))}\n")


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
