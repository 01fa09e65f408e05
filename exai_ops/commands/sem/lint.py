"""``exai sem lint``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exai_ops.findings import Status, exit_code, parse_fail_on

if TYPE_CHECKING:
    from collections import Counter

    from exai_ops.env.baseline import Print
    from exai_ops.findings import Finding


def lint(
    places: Annotated[
        list[Path] | None, typer.Argument(metavar="[DIR|FILE]...", help="Sources; without, this folder.")
    ] = None,
    format: Annotated[  # noqa: A002
        str, typer.Option(help="text, short, json, github, sarif or junit.")
    ] = "text",
    fail_on: Annotated[str, typer.Option(help="Least status that fails: info, warning, error.")] = "error",
    only: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="These rules alone: SEM101, or SEM10.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="CODE", help="All rules but these.")] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Findings that are known, and not shown.")
    ] = None,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Write what is found now to --baseline.")
    ] = False,
    list_rules: Annotated[bool, typer.Option("--list-rules", help="Print every rule, and end.")] = False,
    explain: Annotated[str | None, typer.Option(metavar="CODE", help="Say what a code means.")] = None,
) -> int:
    """Find, in source, the ways in which permits are lost or given twice."""
    from exai_ops.commands.sem.choice import split
    from exai_ops.env.runner import select
    from exai_ops.errors import UsageError
    from exai_ops.render import renderer
    from exai_ops.sem.lint.files import look
    from exai_ops.sem.lint.rules import RULES

    rules = select(RULES, only=split(only or ()), skip=split(skip or ()))
    if list_rules or explain is not None:
        return _tell(explain)
    if write_baseline and baseline is None:
        raise UsageError("--write-baseline needs --baseline FILE", hint="name the file to write")
    render, least = renderer(format), parse_fail_on(fail_on)
    codes = {rule.code for rule in rules}
    known = _known(None if write_baseline else baseline)
    seen = look(places or [Path()])
    found = [one for one in seen.findings if one.code in codes or one.status is Status.UNKNOWN]
    if write_baseline and baseline is not None:
        from exai_ops.commands.env.checking import keep

        keep(baseline, found)
        return 0
    if baseline is not None:
        found = _new(found, known, baseline, codes)
    typer.echo(render(found), nl=False)
    if format == "text":
        files = "1 file" if seen.files == 1 else f"{seen.files} files"
        typer.echo(f"{files} looked at", err=True)
    return exit_code(found, fail_on=least)


def _known(path: Path | None) -> Counter[Print] | None:
    from exai_ops.env import baseline

    return None if path is None else baseline.read(path)


def _new(found: list[Finding], known: Counter[Print] | None, path: Path, codes: set[str]) -> list[Finding]:
    from exai_ops.env import baseline

    if known is None:
        return found
    return baseline.apply(
        found, known, str(path), judged=codes.__contains__, stale="SEM009", command="exai sem lint"
    )


def _tell(code: str | None) -> int:
    import textwrap

    from exai_ops.env.runner import rule_of
    from exai_ops.sem.lint.rules import RULES

    if code is None:
        typer.echo("\n".join(f"{rule.code}  {rule.severity:<8}{rule.title}" for rule in RULES))
        return 0
    rule = rule_of(RULES, code)
    parts = (f"{rule.code} ({rule.severity}): {rule.title}", rule.explanation, f"Hint: {rule.hint}")
    typer.echo("\n\n".join(textwrap.fill(part, 100) for part in parts))
    return 0
