"""``exai monitor analyze``."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from exai_ops.commands.monitor import options
from exai_ops.commands.terminal import visible
from exai_ops.errors import CouldNotLook, ExaiError, UsageError
from exai_ops.findings import Finding, exit_code, parse_fail_on
from exai_ops.settings import environment

if TYPE_CHECKING:
    from exai_ops.monitor.analysis.cube import Cube
    from exai_ops.monitor.analysis.model import Judged, View
    from exai_ops.monitor.analysis.sources import Skipped, Test
    from exai_ops.monitor.analysis.summary import Summary
    from exai_ops.monitor.events import Event

SCHEMA_VERSION: Final = 1
Texts = list[str] | None


def analyze(
    files: Annotated[
        Texts,
        typer.Argument(metavar="[FILE]...", help="Recordings; - for stdin; else what the daemon has kept."),
    ] = None,
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
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Only before then.")] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="NAMES", help="Rows of the table: type, function, direction.")
    ] = "type,function",
    p: Annotated[str, typer.Option("--p", metavar="LIST", help="Percentiles of the table.")] = "50,95,99",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write a report that a browser shows.")
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="auto, python, or duckdb for large NDJSON files.")
    ] = "auto",
    format: Annotated[  # noqa: A002
        str, typer.Option(help="text, short, json, github, sarif or junit.")
    ] = "text",
    fail_on: Annotated[str, typer.Option(help="Least status that fails: info, warning, error.")] = "error",
    only: Annotated[Texts, typer.Option(metavar="CODE", help="These rules alone: MON001.")] = None,
    skip: Annotated[Texts, typer.Option(metavar="CODE", help="All rules but these.")] = None,
    list_rules: Annotated[bool, typer.Option("--list-rules", help="Print every rule, and end.")] = False,
    explain: Annotated[str | None, typer.Option(metavar="CODE", help="Say what a rule looks at.")] = None,
    tz: options.Zone = None,
    url: options.Url = None,
    port: options.Port = None,
    env_file: options.EnvFile = None,
) -> int:
    """Say what went wrong in recorded traffic, when, and what to do about it."""
    from exai_ops.monitor.analysis import rules
    from exai_ops.monitor.analysis.model import View
    from exai_ops.monitor.analysis.summary import keys_of, percents_of, summarized
    from exai_ops.monitor.analysis.traffic import Traffic
    from exai_ops.render import renderer

    chosen = rules.select(_codes(only), _codes(skip))
    if explain is not None:
        typer.echo(rules.explained(explain), nl=False)
        return 0
    if list_rules:
        typer.echo("\n".join(f"{rule.code}  {rule.severity:<8}{rule.title}" for rule in chosen))
        return 0
    render, least = renderer(format), parse_fail_on(fail_on)
    keys, percents = keys_of(by), percents_of(p)
    if engine not in ("auto", "python", "duckdb"):
        raise UsageError(f"--engine: {engine!r} is not known", hint="auto, python or duckdb")
    at = _shown(tz, env_file)
    now = time.time()
    since_s = None if since is None else options.instant_s(since, "--since", now)
    until_s = None if until is None else options.instant_s(until, "--until", now)
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
    test, filtered = _test(wanted, since_s, until_s)
    if files and (url is not None or port is not None):
        raise UsageError(
            "--url and --port are for what a daemon has kept", hint="give files, or one of these"
        )
    if html is not None and html.exists() and not html.is_file():
        raise UsageError(f"--html: {html} is no file that can be written over")
    if files:
        cube, skipped, ordered = _read(files, test, engine)
    else:
        from exai_ops.commands.monitor.analyze_live import live

        cube, skipped = live(url, port, env_file, since_s, until_s, test)
        ordered = True
    if not cube.events:
        raise _nothing(skipped, filtered=test is not None)
    traffic = Traffic(cube)
    view = View(traffic, skipped, at, ordered=ordered, whole=not filtered)
    found = rules.judge(chosen, view)
    summary = summarized(traffic, keys, percents)
    if html is not None:
        _write(html, summary, found, view)
    findings = [_on_its_line(one.finding) for one in found]
    if format == "text":
        from exai_ops.monitor.analysis.as_report import as_report

        columns = max(20, min(60, shutil.get_terminal_size().columns - 20))
        typer.echo(visible(as_report(summary, at, columns=columns) + "\n" + render(findings)), nl=False)
    elif format == "json":
        typer.echo(_json(summary, found, view), nl=False)
    else:
        typer.echo(render(findings), nl=False)
    return exit_code(findings, fail_on=least)


def _on_its_line(finding: Finding) -> Finding:
    """The finding, with what a recording's names hold shown: they may hold anything, line ends too."""
    where, name = finding.where, finding.where.name
    return finding._replace(
        message=visible(finding.message, keep=""),
        hint=visible(finding.hint, keep=""),
        where=where._replace(name=None if name is None else visible(name, keep="")),
    )


def _codes(texts: Texts) -> list[str]:
    return [part.strip() for text in texts or () for part in text.split(",") if part.strip()]


def _shown(tz: str | None, env_file: Path | None) -> Callable[[float], str]:
    from exai_ops.commands.monitor.clock import clock

    shown = clock(tz, environment(env_file).get("TZ"))

    def at(timestamp: float) -> str:
        date, hour, zone = shown.at(timestamp)
        return f"{date} {hour[:8]} {zone}"

    return at


def _test(wanted: Any, since_s: float | None, until_s: float | None) -> tuple[Test | None, bool]:
    """What every event is tested by, None for none; and whether it leaves out some of a time."""
    from exai_ops.monitor.filters import compiled

    matcher = compiled(wanted)
    if since_s is None and until_s is None:
        return (None, False) if matcher.takes_all else (matcher, True)
    begin, end = since_s or 0.0, float("inf") if until_s is None else until_s
    if begin >= end:
        raise UsageError("--since: is not before --until")

    def test(event: Event) -> bool:
        return begin <= event.timestamp < end and matcher(event)

    return test, not matcher.takes_all


def _read(files: Sequence[str], test: Test | None, engine: str) -> tuple[Cube, Skipped, bool]:
    from exai_ops.commands.monitor.analyze_progress import bar
    from exai_ops.monitor.analysis.reading import read
    from exai_ops.monitor.analysis.sources import Progress, Skipped

    if files.count("-") > 1:
        raise UsageError("-: stdin can be read once")
    paths = _paths(files)
    counted = _by_duckdb(paths, engine, plain=test is None and "-" not in files)
    if counted is not None:
        return counted, Skipped(), False
    total = 0 if "-" in files else sum(path.stat().st_size for path in paths)
    with bar(total) as told:
        cube, skipped = read(files, sys.stdin.buffer, test, Progress(told))
    return cube, skipped, True


def _paths(files: Sequence[str]) -> list[Path]:
    paths = [Path(name) for name in files if name != "-"]
    for path in paths:
        if path.is_dir():
            raise UsageError(f"{path}: is a folder", hint="name the files in it")
        if not path.exists():
            raise CouldNotLook(f"{path}: there is no such file")
    return paths


def _by_duckdb(paths: Sequence[Path], engine: str, *, plain: bool) -> Cube | None:
    """What DuckDB has counted, None where Python has to. Raises UsageError where it was asked for in vain."""
    from exai_ops.monitor.analysis import duck

    if engine == "python":
        return None
    fits = plain and (engine == "duckdb" or sum(path.stat().st_size for path in paths) >= duck.LARGE_BYTES)
    if not fits or not duck.suits(paths):
        if engine == "duckdb":
            what = "--engine duckdb: reads plain NDJSON files, without a filter, where duckdb is installed"
            raise UsageError(what, hint="--engine auto takes it where it can")
        return None
    counted = duck.count(paths)
    if counted is None:
        sys.stderr.write("exai: some lines are no events, so Python reads anew to say which\n")
    return counted


def _nothing(skipped: Skipped, *, filtered: bool) -> CouldNotLook:
    if skipped.broken:
        name, why = skipped.broken[0]
        return CouldNotLook(f"{name}: nothing could be read: {why}")
    if skipped.first is not None:
        name, line, why = skipped.first
        place = name if line is None else f"{name}:{line}"
        lines = f"{skipped.count} line{'' if skipped.count == 1 else 's'}"
        hint = "exports, NDJSON, CSV and SQLite files of exai monitor are read"
        return CouldNotLook(f"there is no event: {lines} could not be read, first {place}: {why}", hint=hint)
    if filtered:
        return CouldNotLook("no event fits", hint="widen --since, --until or the filter")
    return CouldNotLook("there is no event")


def _json(summary: Summary, found: Sequence[Judged], view: View) -> str:
    from exai_ops.monitor.analysis.summary import document

    skipped = view.skipped
    first = None
    if skipped.first is not None:
        first = dict(zip(("file", "line", "why"), skipped.first, strict=True))
    whole = {
        "schema_version": SCHEMA_VERSION,
        "summary": document(summary),
        "skipped": {
            "lines": skipped.count,
            "first": first,
            "broken": [{"file": name, "why": why} for name, why in skipped.broken],
            "marks": skipped.gaps,
            "dropped": skipped.dropped,
        },
        "findings": [
            one.finding._asdict()
            | {
                "where": one.finding.where._asdict(),
                "hint": one.finding.hint or None,
                "evidence": dict(one.evidence),
            }
            for one in found
        ],
    }
    return json.dumps(whole, indent=2) + "\n"


def _write(path: Path, summary: Summary, found: Sequence[Judged], view: View) -> None:
    from exai_ops.monitor.analysis.as_html import as_html
    from exai_ops.monitor.export import write_atomically

    try:
        write_atomically(path, as_html(summary, found, view).encode(errors="replace"))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise ExaiError(f"--html: {path} cannot be written: {why}") from error
