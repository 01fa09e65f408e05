"""``exai env check``: what is wrong with the environment files, by the rules of ``exai_ops.env.rules``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exai_ops.errors import UsageError
from exai_ops.findings import exit_code, parse_fail_on

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
    baseline: Annotated[Path | None, typer.Option(help="Findings that are known, in a file.")] = None,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Write what is found now to --baseline.")
    ] = False,
) -> None:
    """Say what is wrong with the environment files here, and how to mend it."""
    from exai_ops.env.rules import RULES
    from exai_ops.env.rules.listing import explained, listed
    from exai_ops.env.runner import rule_of, select

    chosen = select(RULES, only=_split(only), skip=_split(skip))
    if list_rules or explain is not None:
        print(listed(chosen) if explain is None else explained(rule_of(RULES, explain)), end="")
        return
    from exai_ops.env.baseline import read, write
    from exai_ops.env.config import read_config
    from exai_ops.env.find import find
    from exai_ops.env.gather import gather
    from exai_ops.env.runner import Leave, run
    from exai_ops.render import renderer

    render, least = renderer(format), parse_fail_on(fail_on)
    if write_baseline and baseline is None:
        raise UsageError("--write-baseline needs --baseline FILE", hint="name the file to write")
    here = Path()
    found = find(here, example=example, live=live, compose=compose or ())
    seen = gather(here, found, read_config(here), env_file=env_file, code=code)
    known = None if baseline is None or write_baseline else read(baseline)
    leave = Leave(
        suppressions=seen.suppressions,
        known=known,
        baseline=str(baseline),
        codes=frozenset(rule.code for rule in RULES),
    )
    findings = run(chosen, seen.context, leave)
    if write_baseline and baseline is not None:
        write(baseline, findings)
        return
    print(render(findings), end="")
    raise typer.Exit(exit_code(findings, fail_on=least))


def _split(texts: Texts) -> list[str]:
    """Codes, each option one or several with commas between."""
    return [part.strip() for text in texts or () for part in text.split(",") if part.strip()]
