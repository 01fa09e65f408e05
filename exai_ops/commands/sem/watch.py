"""``exai sem watch``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from exai_ops.commands.sem.options import duration_s, one_process, pause_s
from exai_ops.commands.terminal import visible
from exai_ops.errors import CouldNotLook, UsageError

if TYPE_CHECKING:
    from exai_ops.sem.follow import Change

_FAILS: Final = {
    "leaked": ("lost", "leaked"),
    "over-released": ("doubled", "over-released"),
    "waiters": ("waiters", ""),
    "none": ("", ""),
}


def watch(
    target: Annotated[str, typer.Argument(metavar="PID|NAME", help="The process to follow.")],
    for_: Annotated[str, typer.Option("--for", help="How long, 60s or 5m; else until it ends.")] = "",
    every: Annotated[str, typer.Option("--every", help="Between two looks: 500ms, 2s.")] = "500ms",
    fail_on: Annotated[
        str, typer.Option(help="leaked, over-released, waiters or none; several with commas.")
    ] = "leaked,over-released",
    format: Annotated[str, typer.Option(help="text, or ndjson, a line for each change.")] = "text",  # noqa: A002
) -> int:
    """Follow a process's semaphores, and say in which second a permit was lost or doubled."""
    if format not in ("text", "ndjson"):
        raise UsageError(f"--format: {format!r} is not known", hint="text or ndjson")
    bad = _fails(fail_on)
    pid = one_process(target)
    until_s = time.monotonic() + duration_s(for_, "--for") if for_ else float("inf")
    failed = False
    try:
        for change in _changes(pid, until_s, pause_s(every)):
            verdict = str(change.judgement.verdict) if change.judgement is not None else ""
            failed = failed or change.what in bad or verdict in bad
            sys.stdout.write((_line(change) if format == "text" else _row(change)) + "\n")
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 1 if failed else 130
    return 1 if failed else 0


def _fails(text: str) -> set[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    strange = [name for name in names if name not in _FAILS]
    if strange:
        raise UsageError(f"--fail-on: {strange[0]!r} is not known", hint=f"one of {', '.join(_FAILS)}")
    return {what for name in names for what in _FAILS[name] if what}


def _changes(pid: int, until_s: float, every_s: float) -> Iterator[Change]:
    """What happens, until the time is over or the process ends."""
    from exai_ops.sem.follow import Follower
    from exai_ops.sem.passive.whole import WholeScanner

    follower = Follower()
    with WholeScanner(pid) as scanner:
        seen = 0
        while True:
            began_s = time.monotonic()
            try:
                yield from follower.see(scanner.scan())
                seen += 1
            except CouldNotLook as error:
                if not seen:
                    raise
                sys.stderr.write(f"exai: {error.message}\n")
                return
            next_s = began_s + every_s
            if next_s >= until_s:
                return
            time.sleep(max(0.0, next_s - time.monotonic()))


def _line(change: Change) -> str:
    from exai_ops.sem.rules import named, said

    at = _second(change.at_s)
    name = named(change.semaphore)
    noun = f"permit{'' if change.permits == 1 else 's'}"
    text = {
        "lost": f"LOST {change.permits} {noun}: {name}",
        "doubled": f"{change.permits} {noun} given back too often: {name}",
        "waiters": f"{change.permits} wait, and their number only grows: {name}",
        "gone": f"gone: {name}",
        "new": f"follows {name}: {change.semaphore.value} of {_known(change.semaphore.bound)} free",
    }.get(change.what, "")
    if change.judgement is not None:
        text = f"{name}: {said(change.semaphore, change.judgement)}"
    if change.after_s is not None and _second(change.after_s) != at:
        text += f" (after {_second(change.after_s)})"
    lines = [f"{at}  {text}"]
    for holder in change.last[:5]:
        lines.append(f"          last held by {holder.name} [{holder.what}]")
        lines += [f"              {site}" for site in holder.stack]
    return visible("\n".join(lines))


def _known(bound: int | None) -> str:
    return "?" if bound is None else str(bound)


def _row(change: Change) -> str:
    from exai_ops.sem.rules import named

    row = {
        "at": _stamp(change.at_s),
        "after": None if change.after_s is None else _stamp(change.after_s),
        "what": change.what,
        "semaphore": named(change.semaphore),
        "permits": change.permits,
        "value": change.semaphore.value,
        "bound": change.semaphore.bound,
        "waiters": len(change.semaphore.waiters),
        "verdict": None if change.judgement is None else change.judgement.verdict,
        "last_holders": _plain(change),
    }
    return json.dumps(row, ensure_ascii=False)


def _plain(change: Change) -> Sequence[object]:
    return [asdict(holder) for holder in change.last]


def _second(at_s: float) -> str:
    return _clock(at_s).astimezone().strftime("%H:%M:%S")


def _stamp(at_s: float) -> str:
    return _clock(at_s).isoformat(timespec="milliseconds")


def _clock(monotonic_s: float) -> datetime:
    """A time of the monotonic clock, in UTC."""
    return datetime.fromtimestamp(time.time() + monotonic_s - time.monotonic(), UTC)
