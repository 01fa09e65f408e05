"""``exai env check`` as typer sees it."""

from __future__ import annotations

from typing import Annotated

import typer

from exai_ops.commands.env.checking import Options, run

Texts = list[str] | None


def check(
    example: Annotated[str | None, typer.Option(help="The documented example; else found here.")] = None,
    live: Annotated[str | None, typer.Option(help="The file in use; else .env.docker or .env here.")] = None,
    compose: Annotated[Texts, typer.Option(help="A compose file; again for more; else found here.")] = None,
    env_file: Annotated[str | None, typer.Option(help="What compose runs with as --env-file.")] = None,
    code: Annotated[str | None, typer.Option(metavar="DIR", help="Code that reads the variables.")] = None,
    format: Annotated[  # noqa: A002
        str, typer.Option(help="text, short, json, github, sarif or junit.")
    ] = "text",
    fail_on: Annotated[str, typer.Option(help="Least status that fails: info, warning, error.")] = "error",
    only: Annotated[Texts, typer.Option(metavar="CODE", help="These rules alone: ENV104, or ENV1.")] = None,
    skip: Annotated[Texts, typer.Option(metavar="CODE", help="All rules but these.")] = None,
    list_rules: Annotated[bool, typer.Option("--list-rules", help="Print every rule, and end.")] = False,
    explain: Annotated[str | None, typer.Option(metavar="CODE", help="Say why a rule is there.")] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="FILE", help="Findings that are known, and not shown.")
    ] = None,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Write what is found now to --baseline.")
    ] = False,
) -> None:
    """Say what is wrong with the environment files here, and how to mend it."""
    options = Options(
        example=example,
        live=live,
        compose=tuple(compose or ()),
        env_file=env_file,
        code=code,
        format=format,
        fail_on=fail_on,
        only=tuple(only or ()),
        skip=tuple(skip or ()),
        list_rules=list_rules,
        explain=explain,
        baseline=baseline,
        write_baseline=write_baseline,
    )
    raise typer.Exit(run(options))
