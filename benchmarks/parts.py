"""Parts of the daemon measured inside this process: the monitor and the store, as their own benchmarks do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import monitor, monitor_share, storage
from benchmarks.processes import NotMeasured
from benchmarks.table import Limit, Ratio, Row

Numbers = dict[str, list[float]]


def _collect(measure: Callable[[], dict[str, float]], rounds: int) -> Numbers:
    """Each number of a benchmark, round by round."""
    found = [measure() for _ in range(rounds)]
    return {name: [one[name] for one in found] for name in found[0]}


def monitor_rows(folder: Path, *, rounds: int, quick: bool, say: Callable[[str], None]) -> list[Row]:
    """Recording, exporting, and what of it is in a call."""
    say(f"{rounds} rounds: monitor")
    numbers = _collect(monitor.measure, rounds)
    over_logging = tuple(1 / n for n in numbers["logging_over_record"])
    over_dump = tuple(1 / n for n in numbers["json_dump_over_export"])
    return [
        Row(
            group="monitor",
            what="recording one event, bare",
            unit="ns",
            goal="at most 200 ns",
            figures=tuple(numbers["record_bare_ns"]),
            limit=Limit(number=200),
        ),
        Row(
            group="monitor",
            what="recording one event with aggregates",
            unit="ns",
            goal="at most 900 ns",
            figures=tuple(numbers["record_ns"]),
            limit=Limit(number=900),
            ratios=(Ratio(of="`logging.info` to nothing", figures=over_logging, limit=Limit(number=1 / 6)),),
        ),
        Row(
            group="monitor",
            what="the same with 1 in 10 kept",
            unit="ns",
            goal="at most 900 ns",
            figures=tuple(numbers["record_sampled_ns"]),
            limit=Limit(number=900),
        ),
        Row(
            group="monitor",
            what="events missing in the totals, 1,000,000 from 8 threads",
            goal="0",
            figures=tuple(numbers["record_lost"]),
            limit=Limit(number=0),
        ),
        _share_row(folder, quick=quick, say=say),
        Row(
            group="monitor",
            what="10,000 events exported",
            unit="ms",
            goal="at most 10 ms",
            figures=tuple(numbers["export_ms"]),
            limit=Limit(number=10),
            ratios=(Ratio(of="`json.dump` of the same", figures=over_dump),),
        ),
    ]


def _share_row(folder: Path, *, quick: bool, say: Callable[[str], None]) -> Row:
    say("the monitor's share of a call")
    what, goal = "the monitor's share of a call's CPU", "at most 1 %"
    try:
        seen = monitor_share.measure(folder, pairs=30 if quick else 100)
    except NotMeasured as error:
        return Row(group="monitor", what=what, goal=goal, missing=str(error))
    return Row(
        group="monitor", what=what, unit="%", goal=goal, figures=(seen.share * 100,), limit=Limit(number=1.0)
    )


_STORAGE: Final = (
    ("cpu_us_1", "store: CPU of a call's three writes, 1 session", "us"),
    ("cpu_us_32", "store: CPU of a call's three writes, 32 sessions", "us"),
    ("cpu_us_256", "store: CPU of a call's three writes, 256 sessions", "us"),
    ("journal_p50_ms", "store: journal append, median", "ms"),
    ("journal_p99_ms", "store: journal append, p99", "ms"),
    ("rows_per_s", "store: rows/s in batches", ""),
    ("open_new_ms", "store: open, new file", "ms"),
    ("open_again_ms", "store: open, existing file", "ms"),
)


def storage_rows(*, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """The SQLite store, without goals of its own: its share is in every call above."""
    say(f"{rounds} rounds: storage")
    numbers = _collect(storage.measure, rounds)
    return [
        Row(group="storage", what=what, unit=unit, figures=tuple(numbers[name]))
        for name, what, unit in _STORAGE
        if name in numbers
    ]
