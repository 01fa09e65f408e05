"""``exai monitor analyze``: a million events by Python and by the library's json, ten millions by DuckDB.

Each is a process of its own: ``python -m benchmarks.analyze ENGINE FILE...`` reads, judges, and tells what it
took: CPU seconds of the two that have one thread, so that other load shows little, and seconds of DuckDB.
"""

from __future__ import annotations

import io
import json
import math
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.processes import ROOT, NotMeasured
from benchmarks.table import Limit, Ratio, Row

EVENTS: Final = 1_000_000
PARTS: Final = 10
TIMEOUT_S: Final = 300.0
_MODES: Final = ("python", "json", "duckdb")


def rows(folder: Path, *, rounds: int, quick: bool, say: Callable[[str], None]) -> list[Row]:
    """Time and memory of the analysis of generated recordings; a tenth of the events with ``quick``."""
    events = EVENTS // 10 if quick else EVENTS
    say(f"{rounds} rounds: analyze, {events:,} events")
    file = folder / "events.ndjson"
    _generate(file, events, 0)
    python, plain = zip(*((_run("python", [file]), _run("json", [file])) for _ in range(rounds)), strict=True)
    took = tuple(one["s"] for one in python)
    ratio = tuple(ours["s"] / theirs["s"] for ours, theirs in zip(python, plain, strict=True))
    found = [
        Row(
            group="analyze",
            what=f"{events:,} events analyzed",
            unit="s",
            goal="" if quick else "at most 1.5 s",
            figures=took,
            limit=None if quick else Limit(number=1.5),
            ratios=(Ratio(of="the same reading with `json`", figures=ratio, limit=Limit(number=1 / 3)),),
        ),
        Row(
            group="analyze",
            what="memory that it takes beside what is imported",
            unit="MB",
            goal="at most 30 MB",
            figures=tuple(one["mb"] for one in python),
            limit=Limit(number=30),
        ),
    ]
    return [*found, _by_duckdb(folder, file, events, rounds=rounds, quick=quick)]


def _by_duckdb(folder: Path, first: Path, events: int, *, rounds: int, quick: bool) -> Row:
    what = f"{PARTS * events:,} events analyzed through DuckDB"
    goal = "" if quick else "at most 3 s"
    try:
        files = [first]
        for part in range(1, PARTS):
            files.append(folder / f"events-{part}.ndjson")
            _generate(files[-1], events, part)
        took = tuple(_run("duckdb", files)["s"] for _ in range(rounds))
    except NotMeasured as error:
        return Row(group="analyze", what=what, goal=goal, missing=str(error))
    limit = None if quick else Limit(number=3.0)
    return Row(group="analyze", what=what, unit="s", goal=goal, figures=took, limit=limit)


def _generate(path: Path, events: int, part: int) -> None:
    """A quiet hour of calls, in lines of 190 bytes or so."""
    draw = random.Random(part)
    kinds = (
        ("websocket", "receive", "call_tool", None, "{}"),
        ("sqlite", "send", "append", -1.0, "{}"),
        ("kimi", "send", "complete", None, '{"attempt":1}'),
        ("kimi", "receive", "complete", 7.5, '{"attempt":1}'),
        ("websocket", "send", "chat", 7.6, "{}"),
    )
    begin, step = 1_767_225_600.0 + 3600 * part, 3600 / events
    with path.open("w", encoding="ascii") as file:
        for number in range(events):
            type_, way, function, level, more = kinds[number % len(kinds)]
            ms = "null" if level is None else f"{math.exp(draw.gauss(level, 0.6)):.3f}"
            line = (
                f'{{"timestamp":{begin + number * step:.4f},"connection_type":"{type_}","direction":"{way}",'
                f'"script":"run.py","function":"{function}","data_size_bytes":{number % 4096},'
                f'"response_time_ms":{ms},"error":null,"metadata":{more}}}\n'
            )
            file.write(line)


def _run(mode: str, files: list[Path]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.analyze", mode, *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise NotMeasured(done.stderr.strip().rpartition("\n")[2][:200] or "the analysis failed")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _analyze(mode: str, files: list[str]) -> dict[str, float]:
    from exai_ops.monitor.analysis import duck, model, reading, rules, sources, summary, traffic

    clock = time.perf_counter if mode == "duckdb" else time.process_time
    before, began = _memory_mb(), clock()
    if mode == "duckdb":
        counted = duck.count([Path(file) for file in files])
        assert counted is not None, "DuckDB left it to Python"
        cube, skipped = counted, sources.Skipped()
    else:
        cube, skipped = reading.read(files, io.BytesIO())
    view = model.View(traffic.Traffic(cube), skipped, str, ordered=mode != "duckdb")
    rules.judge(rules.RULES, view)
    summary.summarized(view.traffic, ("type", "function"), (50.0, 95.0, 99.0))
    took = clock() - began
    return {"s": took, "mb": _memory_mb(peak=True) - before}


def _with_json(files: list[str]) -> dict[str, float]:
    """The counts alone: events, errors, bytes and a histogram by series and second."""
    began = time.process_time()
    counts: Counter[Any] = Counter()
    with open(files[0], "rb") as file:  # noqa: PTH123
        for line in file:
            event = json.loads(line)
            key = (event["connection_type"], event["function"], event["direction"])
            counts[key, int(event["timestamp"])] += 1
            counts[key, "bytes"] += event["data_size_bytes"]
            if event["error"] is not None:
                counts[key, "errors"] += 1
            if (ms := event["response_time_ms"]) is not None:
                counts[key, "ms", math.ceil(math.log(ms) * 25)] += 1
            if (event["metadata"].get("attempt") or 1) > 1:
                counts[key, "retries"] += 1
    return {"s": time.process_time() - began, "mb": 0.0}


def _memory_mb(*, peak: bool = False) -> float:
    """Of this process, resident."""
    name = "VmHWM:" if peak else "VmRSS:"
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1000
    raise NotMeasured("the system does not tell memory")


if __name__ == "__main__":
    mode_, given = sys.argv[1], sys.argv[2:]
    assert mode_ in _MODES
    print(json.dumps(_with_json(given) if mode_ == "json" else _analyze(mode_, given)))
