"""What ``exai monitor analyze`` does: read, judge, show, and the exit code."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from exai_ops.errors import CouldNotLook, ExaiError, UsageError
from exai_ops.findings import exit_code, parse_fail_on

if TYPE_CHECKING:
    from exai_ops.monitor.analysis.decoding import Wanted
    from exai_ops.monitor.analysis.reading import Progress, Read
    from exai_ops.monitor.analysis.report import Report
    from exai_ops.monitor.analysis.table import Context, Judged, Rule
    from exai_ops.monitor.wire import Filter
    from exai_ops.settings import Settings

SHOW_AFTER_S = 1.0
"""A progress bar is for what takes longer."""


class Options(NamedTuple):
    """The options of the command."""

    files: tuple[Path, ...]
    by: str
    percents: str
    html: Path | None
    engine: str
    wanted: Filter
    since: str | None
    until: str | None
    tz: str | None
    format: str
    fail_on: str
    only: tuple[str, ...]
    skip: tuple[str, ...]
    list_rules: bool
    explain: str | None
    baseline: Path | None
    write_baseline: bool
    url: str | None
    port: int | None
    env_file: Path | None


def run(options: Options) -> int:
    """Do it, and the exit code. Raises ExaiError."""
    from exai_ops.monitor.analysis.rules import explained, listed, rule_of, select

    rules = select(_split(options.only), _split(options.skip))
    if options.explain is not None:
        print(explained(rule_of(options.explain)), end="")
        return 0
    if options.list_rules:
        print(listed(rules), end="")
        return 0
    return _analyze(options, rules)


def _analyze(options: Options, rules: Sequence[Rule]) -> int:
    from exai_ops.monitor.analysis.report import parse_by, parse_percents, report
    from exai_ops.monitor.analysis.rules import judge
    from exai_ops.render import renderer

    by, percents = parse_by(options.by), parse_percents(options.percents)
    render, least = renderer(options.format), parse_fail_on(options.fail_on)
    known = _known(options)
    settings, at = _settings(options), _clock(options)
    read = _read(options, _wanted(options))
    if not read.traffic.events:
        raise _nothing(read)
    context = _context(read, settings, at)
    found = _unknown(judge(rules, context), known)
    if options.write_baseline and options.baseline is not None:
        _keep(options.baseline, found)
        return 0
    told = report(read.traffic, read.sources, found, by=by, percents=percents)
    if options.html is not None:
        _write_page(options.html, told, context)
    findings = [one.finding for one in found]
    if options.format == "text":
        print(_text(told, context), end="")
    elif options.format == "json":
        print(_json(told))
    else:
        print(render(findings), end="")
    return exit_code(findings, fail_on=least)


def _nothing(read: Read) -> CouldNotLook:
    """Nothing was analyzed, and why."""
    for source in read.sources:
        if source.skipped:
            what = f"{source.name}: no event could be read; {source.first_skip}"
            hint = "an export of exai monitor is read, NDJSON, CSV or SQLite, compressed or not"
            return CouldNotLook(what, hint=hint)
    if any(source.left_out for source in read.sources):
        return CouldNotLook("no event fits the filter", hint="leave some of its options out")
    return CouldNotLook("there is no event in it", hint="exai monitor export writes what the daemon holds")


def _wanted(options: Options) -> Wanted:
    from exai_ops.commands.monitor.options import instant_s
    from exai_ops.monitor.analysis.decoding import Wanted
    from exai_ops.monitor.filters import compiled

    now = time.time()
    since = 0.0 if options.since is None else instant_s(options.since, "--since", now)
    until = float("inf") if options.until is None else instant_s(options.until, "--until", now)
    if since >= until:
        raise UsageError("--since: is not before --until")
    return Wanted(compiled(options.wanted), since, until)


def _read(options: Options, wanted: Wanted) -> Read:
    from exai_ops.monitor.analysis.choosing import chosen
    from exai_ops.monitor.analysis.reading import expanded, read

    if not options.files:
        from exai_ops.commands.monitor.live import recorded

        return recorded(options.url, options.port, options.env_file, wanted, options.wanted)
    files = expanded(options.files)
    timed = options.since is not None or options.until is not None
    if chosen(options.engine, files, options.wanted, timed=timed) == "duckdb":
        from exai_ops.monitor.analysis.duck import NotPlain, read_duckdb

        try:
            return read_duckdb(files)
        except NotPlain as error:
            print(f"exai: read by Python instead of DuckDB: {error}", file=sys.stderr)
    with _progress() as progress:
        return read(files, sys.stdin.buffer, wanted, progress)


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A bar on stderr, where that is a terminal and it takes long."""
    if not sys.stderr.isatty():
        yield None
        return
    from exai_ops.commands.monitor.analyze_progress import Bar

    with Bar(SHOW_AFTER_S) as bar:
        yield bar.show


def _settings(options: Options) -> Settings | None:
    """The daemon's settings here, for what is known of pings; files may come from anywhere."""
    from exai_ops.settings import environment, load

    try:
        return load(environment(options.env_file))
    except ExaiError:
        if options.env_file is not None:
            raise
        return None


def _clock(options: Options) -> Callable[[float], str]:
    from exai_ops.commands.monitor.clock import clock
    from exai_ops.settings import environment

    shown = clock(options.tz, environment(options.env_file).get("TZ"))

    def at(timestamp: float) -> str:
        date, moment, zone = shown.at(timestamp)
        return f"{date} {moment.partition('.')[0]} {zone}"

    return at


def _context(read: Read, settings: Settings | None, at: Callable[[float], str]) -> Context:
    from exai_ops.monitor.analysis.table import Context

    context = Context(read.traffic, read.sources, at=at)
    if settings is None:
        return context
    return context._replace(
        ping_interval_s=settings.ws_ping_interval_s, ping_timeout_s=settings.ws_ping_timeout_s
    )


def _text(told: Report, context: Context) -> str:
    from exai_ops.monitor.analysis.as_text import as_text
    from exai_ops.settings import environment

    environ = environment(None)
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
    traffic = context.traffic
    return as_text(
        told, context.at(traffic.first), context.at(traffic.last), colour=sys.stdout.isatty() and not plain
    )


def _json(told: Report) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode()


def _write_page(path: Path, told: Report, context: Context) -> None:
    """Put the page in place, whole or not at all. Raises ExaiError."""
    from exai_ops.monitor.analysis.as_html import as_html
    from exai_ops.monitor.export import write_atomically

    page = as_html(told, context.at, context.traffic.first, context.traffic.last)
    try:
        write_atomically(path, page.encode(errors="replace"))
    except OSError as error:
        why = (error.strerror or "it cannot be written").lower()
        raise ExaiError(f"--html: {path}: {why}", hint="what was there is as it was") from error
    print(f"exai: {path}: written", file=sys.stderr)


def _known(options: Options) -> list[tuple[str, str]] | None:
    """Code and subject of the findings that the baseline holds. Raises CouldNotLook, UsageError."""
    if options.baseline is None:
        if options.write_baseline:
            raise UsageError("--write-baseline needs --baseline FILE", hint="name the file to write")
        return None
    if options.write_baseline:
        return None
    from exai_ops.env import baseline

    return [(code, name) for code, _, name in baseline.read(options.baseline)]


def _unknown(found: list[Judged], known: list[tuple[str, str]] | None) -> list[Judged]:
    """Those that the baseline does not hold: by code and subject, however often and whenever."""
    if known is None:
        return found
    return [one for one in found if (one.finding.code, one.finding.where.name or "") not in known]


def _keep(path: Path, found: Sequence[Judged]) -> None:
    from exai_ops.env import baseline

    count = baseline.write(path, [one.finding for one in found])
    print(f"exai: {path}: written, with {count} finding{'' if count == 1 else 's'}", file=sys.stderr)


def _split(texts: Sequence[str]) -> list[str]:
    """Codes, each option one or several with commas between."""
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]
