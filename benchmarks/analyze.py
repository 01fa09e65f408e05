"""``exai monitor analyze`` on a million events and ten, and the standard library's json reading the same.

Each runs as a process of its own; the files are made first, anew in each run of the benchmark.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.processes import NotMeasured, environment
from benchmarks.table import Limit, Row, ratio

EVENTS: Final = 1_000_000
TENFOLD: Final = 10
_PIECE: Final = 50_000
_LIMIT_S: Final = 300.0

# Runs a command as ``exai`` does, and says at the end what memory it took at most: of this program alone,
# where the kernel's account of a child begins with its parent's.
_MEASURED: Final = """
import re, sys
from pathlib import Path
from exai_ops.cli import main
code = main(sys.argv[1:])
(peak,) = re.findall(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())
sys.stderr.write(f"\\npeak {peak}\\n")
sys.exit(code)
"""

# What one writes without us: a line, a dictionary, lists by type and function, percentiles by sorting.
_BY_JSON: Final = """
import json, sys
from collections import defaultdict
counts, errors, sizes = defaultdict(int), defaultdict(int), defaultdict(int)
durations, minutes = defaultdict(list), defaultdict(int)
with open(sys.argv[1], encoding="utf-8") as stream:
    for line in stream:
        event = json.loads(line)
        key = event["connection_type"], event["function"]
        counts[key] += event.get("weight", 1)
        sizes[key] += event["data_size_bytes"]
        errors[key] += event["error"] is not None
        minutes[int(event["timestamp"] // 60)] += 1
        if event["response_time_ms"] is not None:
            durations[key].append(event["response_time_ms"])
for key in counts:
    found = sorted(durations[key])
    shown = [found[min(len(found) - 1, len(found) * p // 100)] for p in (50, 95, 99)] if found else []
    print(key, counts[key], errors[key], sizes[key], shown)
"""


class Run(NamedTuple):
    """A process: wall time, and most memory in MB where it was told."""

    wall_s: float
    peak_mb: float


def rows(folder: Path, *, rounds: int, quick: bool, say: Callable[[str], None]) -> list[Row]:
    """A million events by us and by json; ten million through DuckDB, where it is installed."""
    say(f"{rounds} rounds: analyze")
    path, few = folder / "events.ndjson", folder / "few.ndjson"
    whole = made(path, EVENTS)
    few.write_bytes(b"".join(path.open("rb").readlines(100_000)))
    ours, theirs, base = [], [], []
    for _ in range(rounds):
        ours.append(_analyze(path, folder, "python"))
        theirs.append(_run([sys.executable, "-c", _BY_JSON, str(path)], folder).wall_s)
        base.append(_analyze(few, folder, "python").peak_mb)
    growth = tuple(one.peak_mb - least for one, least in zip(ours, base, strict=True))
    compared = ratio("the standard library's json", [one.wall_s for one in ours], theirs, Limit(number=1 / 3))
    found = [
        Row(
            group="analyze",
            what=f"analyze 1,000,000 events ({whole / 1e6:.0f} MB of NDJSON), the whole command",
            unit="s",
            goal="at most 1.5 s, a third of json's time",
            figures=tuple(one.wall_s for one in ours),
            limit=Limit(number=1.5),
            ratios=(compared,),
        ),
        Row(
            group="analyze",
            what="memory that these take beyond a file of some hundred",
            unit="MB",
            goal="at most 30 MB",
            figures=growth,
            limit=Limit(number=30),
        ),
        Row(
            group="analyze",
            what="most memory of the whole command",
            unit="MB",
            figures=tuple(one.peak_mb for one in ours),
        ),
    ]
    return [*found, _tenfold(folder, whole, rounds=min(rounds, 3), quick=quick)]


def _tenfold(folder: Path, whole: int, *, rounds: int, quick: bool) -> Row:
    what, goal = "analyze 10,000,000 events through DuckDB, the whole command", "at most 3 s"
    missing = None
    if quick:
        missing = "not with --quick"
    elif find_spec("duckdb") is None:
        missing = "duckdb is not installed"
    elif shutil.disk_usage(folder).free < 2 * TENFOLD * whole:
        missing = "not enough room on the disk"
    if missing is not None:
        return Row(group="analyze", what=what, goal="" if quick else goal, missing=missing)
    large = folder / "tenfold.ndjson"
    try:
        made(large, TENFOLD * EVENTS)
        figures = [_analyze(large, folder, "duckdb").wall_s for _ in range(rounds)]
    finally:
        large.unlink(missing_ok=True)
    return Row(
        group="analyze", what=what, unit="s", goal=goal, figures=tuple(figures), limit=Limit(number=3.0)
    )


def _analyze(path: Path, folder: Path, engine: str) -> Run:
    command = [sys.executable, "-c", _MEASURED, "monitor", "analyze", str(path), "--engine", engine]
    return _run(command, folder)


def _run(command: list[str], folder: Path) -> Run:
    began = time.perf_counter()
    done = subprocess.run(
        command,
        env=environment(folder, {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    wall_s = time.perf_counter() - began
    if done.returncode not in (0, 1):
        raise NotMeasured(f"it ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    _, _, peak = done.stderr.rpartition("peak ")
    return Run(wall_s, int(peak) / 1024 if peak.strip().isdigit() else 0.0)


def made(path: Path, count: int) -> int:
    """Write events of some hours of calls; how many bytes. Always the same."""
    chance = random.Random(1)
    at, whole = 1_795_500_000.0, 0
    with path.open("wb") as stream:
        for begin in range(0, count, _PIECE):
            lines = []
            for number in range(begin, min(count, begin + _PIECE)):
                at += 0.0036
                lines.append(_line(chance, at, number))
            data = "".join(lines).encode()
            stream.write(data)
            whole += len(data)
    return whole


_KINDS: Final = (
    ("websocket", "receive", "call", False), ("kimi", "send", "stream", False),
    ("kimi", "receive", "stream", True), ("redis", "receive", "get", True),
    ("sqlite", "send", "write", True), ("websocket", "send", "chat", True),
)  # fmt: skip


def _line(chance: random.Random, at: float, number: int) -> str:
    type_, direction, function, timed = _KINDS[number % len(_KINDS)]
    ms = f"{chance.lognormvariate(5, 0.5):.1f}" if timed else "null"
    more = ""
    if type_ == "websocket":
        more = f'"permit_wait_ms":{chance.random():.2f}' if timed else '"request":"r1"'
    elif type_ == "kimi" and not timed:
        more = '"attempt":1'
    error = '"EXEC_ERROR"' if chance.random() < 0.003 else "null"
    return (
        f'{{"timestamp":{at:.3f},"connection_type":"{type_}","direction":"{direction}","script":"d",'
        f'"function":"{function}","data_size_bytes":{chance.randrange(100, 9000)},"response_time_ms":{ms},'
        f'"error":{error},"metadata":{{{more}}}}}\n'
    )


def main() -> None:
    """Print the figures."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="exai-bench-") as folder:
        for row in rows(Path(folder), rounds=3, quick=False, say=print):
            print(json.dumps([row.what, row.figures or row.missing, [r.figures for r in row.ratios]]))


if __name__ == "__main__":
    main()
