"""``exai settings``: check, show and document the variables of the environment."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from exai_ops.commands.app import new_app
from exai_ops.errors import SettingsError
from exai_ops.findings import Finding, Location, Status, exit_code, parse_fail_on
from exai_ops.settings import VARIABLES, Problem, Sources, env_example, examine, load, sources

settings = new_app(no_args_is_help=True, help="Check, show and document the settings.")

EnvFile = Annotated[
    Path | None,
    typer.Option(help="dotenv file to read beneath the environment; else .env here if it exists."),
]


@settings.command()
def check(
    env_file: EnvFile = None,
    format: Annotated[str, typer.Option(help="text, short, json, github, sarif or junit.")] = "text",  # noqa: A002
    fail_on: Annotated[str, typer.Option(help="Least status that fails: info, warning, error.")] = "error",
) -> None:
    """Say everything that is wrong with the settings."""
    from exai_ops.render import renderer

    render, least = renderer(format), parse_fail_on(fail_on)
    found = findings(env_file)
    print(render(found), end="")
    raise typer.Exit(exit_code(found, fail_on=least))


@settings.command()
def show(env_file: EnvFile = None) -> None:
    """Print each setting's value and where it comes from; secrets are masked."""
    read = sources(env_file)
    effective = load(read.merged)
    for variable in VARIABLES:
        value = variable.show(getattr(effective, variable.field))
        print(f"{variable.name}={value}  # {read.origin(variable)}")


@settings.command()
def example() -> None:
    """Print the documented example: every variable with its comment, at its default."""
    print(env_example(), end="")


def findings(env_file: Path | None) -> list[Finding]:
    """What is wrong with the settings as they would be read now."""
    try:
        read = sources(env_file)
    except SettingsError as error:
        where = Location(file=str(env_file or ".env"))
        message = error.message.removeprefix(f"{where.file}: ")
        return [Finding("SET009", Status.UNKNOWN, message, error.hint or "", where)]
    _, problems = examine(read.merged)
    return [*(_finding(problem, read) for problem in problems), *_unread(read)]


def _finding(problem: Problem, read: Sources) -> Finding:
    status = Status.ERROR if problem.fatal else Status.WARNING
    message = f"{problem.name}: {problem.message}"
    return Finding(problem.code, status, message, problem.hint, _where(problem.name, read))


def _where(name: str, read: Sources) -> Location:
    line = read.line_of(name)
    return Location(name=name) if line is None else Location(str(read.file), line, name)


def _unread(read: Sources) -> Iterable[Finding]:
    for line in read.unread:
        where = Location(str(read.file), line)
        yield Finding(
            "SET008", Status.WARNING, "is not an assignment", "write NAME=value, or # for a comment", where
        )
