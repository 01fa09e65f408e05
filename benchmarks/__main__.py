"""Measure, and print the table. Progress goes to stderr; nothing is written unasked."""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from benchmarks import (
    analyze,
    call_rows,
    calls,
    env,
    litellm_proxy,
    monitor_stream,
    parts,
    sem,
    starts,
    table,
)
from benchmarks.processes import INTERRUPTS, ROOT, NotMeasured, cores
from benchmarks.table import Row

GROUPS: Final = (*calls.NEEDS, "start", "monitor", "tail", "analyze", "commands", "env", "storage", "sem")


def main() -> int:
    given = _arguments()
    for number in INTERRUPTS:
        signal.signal(number, _interrupted)
    for package in ("exai_ops", "benchmarks"):
        compileall.compile_dir(ROOT / package, quiet=2)
    began, load = time.monotonic(), _load_average()
    groups = set(given.only or GROUPS)
    try:
        with tempfile.TemporaryDirectory(prefix="exai-bench-") as folder:
            rows = _measure(groups, Path(folder), rounds=given.rounds, quick=given.quick)
    except KeyboardInterrupt:
        return 130
    notes = _notes(load, time.monotonic() - began, given.rounds)
    _show(rows, notes, given.out)
    return 1 if any(row.missing and row.goal for row in rows) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds, under a minute")
    parser.add_argument("--rounds", type=_at_least_one, help="rounds of each thing (5; 2 with --quick)")
    parser.add_argument("--only", action="append", choices=GROUPS, metavar="NAME", help=", ".join(GROUPS))
    parser.add_argument(
        "--out", type=Path, help="also write the table (.md) or the figures (.json) to a file"
    )
    given = parser.parse_args()
    if given.out and given.out.suffix not in (".md", ".json"):
        parser.error("--out: .md or .json")
    given.rounds = given.rounds or (2 if given.quick else 5)
    return given


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _interrupted(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _measure(groups: set[str], folder: Path, *, rounds: int, quick: bool) -> list[Row]:
    """Every row asked for; a group that cannot be measured is one row that says why."""
    rows: list[Row] = []
    loads = groups & set(calls.NEEDS)
    if loads:
        if "calls" in loads:
            with contextlib.suppress(NotMeasured):  # said by its row
                litellm_proxy.install(_say)
        warm_s, window_s = (0.4, 0.8) if quick else (1.0, 2.5)
        outcome = calls.measure(loads, folder, rounds=rounds, warm_s=warm_s, window_s=window_s, say=_say)
        rows += call_rows.rows(loads, outcome)
    others: dict[str, Callable[[], list[Row]]] = {
        "start": lambda: starts.daemon_rows(folder, rounds=rounds, say=_say),
        "monitor": lambda: parts.monitor_rows(
            folder, rounds=1 if quick else min(rounds, 3), quick=quick, say=_say
        ),
        "tail": lambda: monitor_stream.rows(folder, rounds=min(rounds, 3), quick=quick, say=_say),
        "analyze": lambda: analyze.rows(folder, rounds=min(rounds, 3), quick=quick, say=_say),
        "commands": lambda: starts.command_rows(folder, rounds=2 * rounds, say=_say),
        "env": lambda: env.rows(folder, rounds=2 * rounds, say=_say),
        "storage": lambda: parts.storage_rows(rounds=1 if quick else min(rounds, 3), say=_say),
        "sem": lambda: sem.rows(folder, rounds=rounds, quick=quick, say=_say),
    }
    for group, measure in others.items():
        if group in groups:
            try:
                rows += measure()
            except NotMeasured as error:
                rows.append(Row(group=group, what=group, goal="measured", missing=str(error)))
    return rows


def _notes(load: str, took_s: float, rounds: int) -> list[str]:
    pinned = (
        "The server is pinned to one core, load generator and upstream to another."
        if cores()
        else "Nothing was pinned to a core: there is one alone, or the system cannot."
    )
    machine = f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    return [
        f"{machine}, Python {platform.python_version()}; {rounds} rounds in {took_s:.0f} s; {load}.",
        f"{pinned} CPU: user and system time of the server's process per call, in a window of steady load.",
        "Ratios compare things run in turn within a round; `here` and `ratio` are medians over the rounds.",
        "LiteLLM proxy: one worker, no database, no key, no log lines, same upstream, 32 kept connections.",
        "Bare daemon (`benchmarks/bare_daemon.py`): the same libraries, one frame in, one out, nothing kept.",
    ]


def _load_average() -> str:
    """What else the machine does; figures of a busy machine are worth less."""
    try:
        busy = os.getloadavg()[0]
    except (AttributeError, OSError):
        return "the load of the machine before the run is unknown"
    return f"load average before the run {busy:.1f}" + (" (not idle)" if busy > 0.3 else "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _show(rows: list[Row], notes: list[str], out: Path | None) -> None:
    markdown = table.markdown(rows, notes)
    print(markdown)
    if out is not None:
        data = json.dumps(table.document(rows, notes), indent=2) if out.suffix == ".json" else markdown
        out.write_text(data + "\n", encoding="utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
