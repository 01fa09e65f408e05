"""``exai sem check``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exai_ops.commands.sem.options import processes
from exai_ops.commands.terminal import visible
from exai_ops.errors import ExaiError, UsageError
from exai_ops.findings import Finding, Location, Status, exit_code, parse_fail_on

if TYPE_CHECKING:
    from exai_ops.commands.sem.choice import Choice
    from exai_ops.sem.model import Judgement, Scan

    Looked = tuple[Scan, list[Judgement]]


def check(
    target: Annotated[
        str | None, typer.Argument(metavar="[PID|NAME]", help="A process; without one, our daemon.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every Python process that can be read.")] = False,
    format: Annotated[  # noqa: A002
        str, typer.Option(help="text, short, json, github, sarif or junit.")
    ] = "text",
    fail_on: Annotated[str, typer.Option(help="Least status that fails: info, warning, error.")] = "error",
    verbose: Annotated[
        bool, typer.Option("--verbose", help="All holders and waiters, not five of each.")
    ] = False,
    inject: Annotated[
        bool,
        typer.Option(
            "--inject",
            help="Where that leaves a doubt, run code of ours within the process, which pauses it.",
        ),
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="These rules alone: SEM001, or SEM00.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="CODE", help="All rules but these.")] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="FILE", help="Findings that are known, and not shown.")
    ] = None,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Write what is found now to --baseline.")
    ] = False,
    list_rules: Annotated[bool, typer.Option("--list-rules", help="Print every rule, and end.")] = False,
    explain: Annotated[str | None, typer.Option(metavar="CODE", help="Say what a code means.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the daemon (EXAI_WS_PORT).")] = None,
    env_file: Annotated[Path | None, typer.Option(help="Dotenv file beneath the environment.")] = None,
) -> int:
    """Say who holds each permit of a process, and which are lost: from outside, without a stop."""
    from exai_ops.commands.sem.choice import choose, shown
    from exai_ops.render import renderer
    from exai_ops.sem import report

    choice = choose(only or (), skip or (), baseline, write=write_baseline)
    if list_rules or explain is not None:
        return _tell(explain, choice)
    if every and target is not None:
        raise UsageError("--all and a process are both given", hint="give one of them")
    if inject and target is None:
        raise UsageError("--inject is for a process that is named", hint="exai sem check PID --inject")
    render, least = renderer(format), parse_fail_on(fail_on)
    extra: list[Finding] = []
    if target is None and not every:
        from exai_ops.commands.sem.daemon import look_at_daemon

        looked = [look_at_daemon(port, env_file, extra)]
    else:
        pids = _every() if target is None else processes(target)
        looked = list(_look(pids, extra, lenient=every or len(pids) > 1, inject=inject))
    command = " ".join(["exai sem check", *(["--all"] if every else []), *([target] if target else [])])
    looked, said, extra = shown(choice, looked, extra, command)
    found = said + extra
    if choice.writes and choice.base is not None:
        from exai_ops.commands.env.checking import keep

        keep(choice.base, found)
        return 0
    if format == "text":
        most = None if verbose else 5
        blocks = [report.as_text(scan, judgements, most=most) for scan, judgements in looked]
        blocks += [f"{one.status:<8}{one.code}  {one.message}\n        hint: {one.hint}\n" for one in extra]
        typer.echo(visible("\n".join(blocks)), nl=False)
    elif format == "json":
        typer.echo(report.as_json(looked, extra), nl=False)
    else:
        typer.echo(render(found), nl=False)
    return exit_code(found, fail_on=least)


def _every() -> list[int]:
    from exai_ops.sem.process import python_processes

    return python_processes()


def _tell(code: str | None, choice: Choice) -> int:
    import textwrap

    from exai_ops.env.runner import rule_of
    from exai_ops.sem.rules import RULES

    if code is None:
        typer.echo("\n".join(f"{rule.code}  {rule.severity:<8}{rule.title}" for rule in choice.rules))
        return 0
    rule = rule_of(RULES, code)
    parts = (f"{rule.code} ({rule.severity}): {rule.title}", rule.explanation, f"Hint: {rule.hint}")
    typer.echo("\n\n".join(textwrap.fill(part, 100) for part in parts))
    return 0


def _look(pids: Sequence[int], extra: list[Finding], *, lenient: bool, inject: bool) -> Iterator[Looked]:
    """Each process, looked at; ``lenient`` makes a finding of one that cannot be, in place of an end."""
    from exai_ops.sem.check import look
    from exai_ops.sem.executable import ProcessGone
    from exai_ops.sem.passive.whole import WholeScanner

    for pid in pids:
        try:
            with WholeScanner(pid) as scanner:
                looked = look(scanner)
            yield _look_within(pid, *looked) if inject else looked
        except ExaiError as error:
            if not lenient:
                raise
            if isinstance(error, ProcessGone):
                continue  # of all that there were when they were listed, it is one no more
            extra.append(Finding("SEM008", Status.UNKNOWN, error.message, error.hint or "", Location()))


def _look_within(pid: int, scan: Scan, said: list[Judgement]) -> Looked:
    """What a look from within adds, where the one from outside leaves a doubt; says what it does first."""
    from exai_ops.sem.check import look
    from exai_ops.sem.inject.merge import is_open, merged
    from exai_ops.sem.inject.scan import InjectedScanner

    if not is_open(said):
        typer.echo(f"--inject: nothing is in doubt about process {pid}, so no code is run in it", err=True)
        return scan, said
    with InjectedScanner(pid, say=lambda text: typer.echo(visible(text), err=True), outside=scan) as scanner:
        within, says = look(scanner)
        return merged(scan, said, within, says, whole=scanner.whole)
