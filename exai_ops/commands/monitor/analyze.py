"""``exai monitor analyze`` as typer sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exai_ops.commands.monitor import options
from exai_ops.commands.monitor.analyzing import Options, run

Texts = list[str] | None


def analyze(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...", help="Exports, NDJSON, CSV, SQLite; .gz too; - for stdin; else the daemon's."
        ),
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="FIELDS", help="type, function, direction; commas.")] = (
        "type,function"
    ),
    p: Annotated[str, typer.Option("--p", metavar="PERCENTS", help="Percentiles of the table.")] = "50,95,99",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write the report as one page.")
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="python, duckdb, or auto: duckdb for large NDJSON.")
    ] = "auto",
    type_: options.Types = None,
    direction: options.Directions = None,
    function: options.Functions = None,
    grep: options.Grep = None,
    exclude: options.Exclude = None,
    errors: options.Errors = False,
    slower: options.Slower = None,
    session: options.Session = "",
    request: options.Request = "",
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only from then on: 10m ago, or ISO 8601.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Only before: 10m ago, or ISO 8601.")
    ] = None,
    tz: options.Zone = None,
    format_: Annotated[
        str, typer.Option("--format", help="text, short, json, github, sarif or junit.")
    ] = "text",
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="Least status that fails: info, warning, error.")
    ] = "error",
    only: Annotated[Texts, typer.Option("--only", metavar="CODE", help="These rules alone.")] = None,
    skip: Annotated[Texts, typer.Option("--skip", metavar="CODE", help="All rules but these.")] = None,
    list_rules: Annotated[bool, typer.Option("--list-rules", help="Print every rule, and end.")] = False,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="CODE", help="Say how a rule judges.")
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="FILE", help="Findings that are known, and not shown."),
    ] = None,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Write what is found now to --baseline.")
    ] = False,
    url: options.Url = None,
    port: options.Port = None,
    env_file: options.EnvFile = None,
) -> int:
    """Say what was wrong in recorded traffic, and show it by type and function, over time."""
    wanted = options.filter_of(
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
    return run(
        Options(
            files=tuple(files or ()),
            by=by,
            percents=p,
            html=html,
            engine=engine,
            wanted=wanted,
            since=since,
            until=until,
            tz=tz,
            format=format_,
            fail_on=fail_on,
            only=tuple(only or ()),
            skip=tuple(skip or ()),
            list_rules=list_rules,
            explain=explain,
            baseline=baseline,
            write_baseline=write_baseline,
            url=url,
            port=port,
            env_file=env_file,
        )
    )
