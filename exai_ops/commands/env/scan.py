"""``exai env scan``: secrets in tracked files and in git history."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exai_ops.errors import CouldNotLook, UsageError
from exai_ops.findings import Finding, Location, Status, exit_code, parse_fail_on

if TYPE_CHECKING:
    from exai_ops.env.git import Added
    from exai_ops.env.scan import Known, Spot
    from exai_ops.env.suppression import Suppression

_EVERY_S = 2.0


def scan(
    paths: Annotated[list[str] | None, typer.Argument(help="Files or folders; else all here.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Also every line that a commit added.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds that the history may take.", min=0.1)] = 600.0,
    format: Annotated[  # noqa: A002
        str, typer.Option(help="text, short, json, github, sarif or junit.")
    ] = "text",
    fail_on: Annotated[str, typer.Option(help="Least status that fails: info, warning, error.")] = "error",
    baseline: Annotated[
        str | None, typer.Option(metavar="FILE", help="Findings that are known, and not shown.")
    ] = None,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Write what is found now to --baseline.")
    ] = False,
) -> None:
    """Find secrets in the files that git tracks: names, files, lines and commits, never values."""
    from exai_ops.commands.env.checking import keep
    from exai_ops.env import baseline as kept
    from exai_ops.render import renderer

    render, least = renderer(format), parse_fail_on(fail_on)
    if write_baseline and baseline is None:
        raise UsageError("--write-baseline needs --baseline FILE", hint="name the file to write")
    base = None if baseline is None else Path(baseline)
    old = None if base is None or write_baseline else kept.read(base)
    found = _judge(paths or [], history, timeout)
    if write_baseline and base is not None:
        keep(base, found)
        raise typer.Exit(0)
    if old is not None:
        found = kept.apply(found, old, str(base), judged=_judged(history))
    print(render(found), end="")
    raise typer.Exit(exit_code(found, fail_on=least))


def _judge(paths: Sequence[str], history: bool, max_s: float) -> list[Finding]:
    """What is found, less what is suppressed, by file and line; what could not be read comes last."""
    from exai_ops.env import suppression
    from exai_ops.env.config import read_config
    from exai_ops.env.git import tracked_files
    from exai_ops.env.rules.secrets import HISTORY, TRACKED
    from exai_ops.env.runner import as_printed
    from exai_ops.env.scan import known, of_history, of_tracked

    config = [e for e in read_config(Path()).ignore if e.code in (TRACKED, HISTORY)]
    spots, missed, meant = _tracked(tracked_files(paths, once=history))
    now = {known(spot) for spot in spots}
    first, late = _history(paths, max_s) if history else ({}, [])
    commits = {key: commit for key, (commit, _) in first.items()}
    found = [of_tracked(spot, commits.get(known(spot))) for spot in spots]
    found += [of_history(s, commit) for key, (commit, s) in first.items() if key not in now and not s.hidden]
    left = suppression.apply(found, meant, judged=lambda code: code == TRACKED)
    judged = _judged(history and not paths, not paths)
    left = suppression.apply(left, suppression.in_config(config), judged=judged)
    left.sort(key=lambda f: (f.where.file or "", f.where.line or 0, f.code))
    return [as_printed(finding) for finding in (*left, *missed, *late)]


def _judged(history: bool, tracked: bool = True) -> Callable[[str], bool]:
    """Which codes were looked for to the end."""
    from exai_ops.env.rules.secrets import HISTORY, TRACKED

    return lambda code: (code == TRACKED and tracked) or (code == HISTORY and history)


def _tracked(files: Sequence[str]) -> tuple[list[Spot], list[Finding], list[Suppression]]:
    """The secrets of the tracked files, what could not be read, and what is said of the secrets there.

    Links are not followed.
    """
    from exai_ops.env.load import read_file
    from exai_ops.env.rules.secrets import TRACKED
    from exai_ops.env.scan import in_file, said_of_secrets

    spots: list[Spot] = []
    missed: list[Finding] = []
    meant: list[Suppression] = []
    for file in files:
        path = Path(file)
        if path.is_symlink() or not path.is_file():
            continue
        try:
            data = read_file(file)
        except CouldNotLook as error:
            message = error.message.removeprefix(f"{file}: ")
            missed.append(Finding(TRACKED, Status.UNKNOWN, message, "", Location(file)))
            continue
        wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        if wide or b"\0" not in data[:8000]:
            text = data.decode("utf-16" if wide else "utf-8", "replace")
            meant += said_of_secrets(file, text)
            spots += in_file(file, text)
    return spots, missed, meant


def _history(paths: Sequence[str], max_s: float) -> tuple[dict[Known, tuple[str, Spot]], list[Finding]]:
    """The first commit and place of each secret that the history had, and why it was not read to its end."""
    from exai_ops.env.git import count_commits, history, is_cut
    from exai_ops.env.rules.secrets import HISTORY
    from exai_ops.env.scan import MOST, in_history, known

    first: dict[Known, tuple[str, Spot]] = {}
    late: list[Finding] = []
    total = count_commits(paths)
    if is_cut():
        message = "the history is cut here: a shallow clone lacks the older commits"
        late.append(Finding(HISTORY, Status.UNKNOWN, message, "git fetch --unshallow, then run it again"))
    try:
        with history(paths, max_s) as lines:
            for commit, spot in in_history(_told(lines, total)):
                first[known(spot)] = (commit, spot)
    except CouldNotLook as error:
        late.append(Finding(HISTORY, Status.UNKNOWN, error.message, error.hint or ""))
    if len(first) >= MOST:
        late.append(Finding(HISTORY, Status.UNKNOWN, f"the history holds more than {MOST} secrets", ""))
    return first, late


def _told(lines: Iterator[Added | str], total: int) -> Iterator[Added]:
    """The added lines; how many commits are done goes to stderr now and then."""
    count, said = 0, time.monotonic()
    for line in lines:
        if not isinstance(line, str):
            yield line
            continue
        count += 1
        if time.monotonic() - said > _EVERY_S:
            said = time.monotonic()
            print(f"exai: {count} of {total} commits", file=sys.stderr)
