"""What the monitor costs: one event recorded, read or exported. Run it for a table, or call ``measure``.

CPU time of this process, best of several rounds, so that other load on the machine shows little. The
ratios come from the same run.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from exai_ops.monitor.recorder import FOLD_AT, Monitor
from exai_ops.monitor.sampling import Sampling, parse

EVENTS: Final = 10_000
ROUNDS: Final = 15
THREADS: Final = 8
THREAD_EVENTS: Final = 125_000
"""Of each thread: a million in all."""
NS: Final = 1_000_000_000

GOALS: Final = {
    "record_bare_ns": "at most 200",
    "record_ns": "at most 900",
    "record_sampled_ns": "at most 900",
    "record_packed_ns": "",
    "record_threads_ns": "",
    "logging_ns": "",
    "logging_over_record": "at least 6",
    "record_lost": "0",
    "sampled_off_by": "less than 10",
    "by_type_us": "",
    "export_ms": "at most 10",
    "json_dump_ms": "",
    "json_dump_over_export": "at least 15",
}


def measure() -> dict[str, float]:
    """Each number under its name; ``record_lost`` is how many of the threads' million events the totals lack,
    ``sampled_off_by`` how far the weights of what a sampled series kept are from its count.
    """
    threads_ns, lost = _threads()
    sampled_ns, off_by = _sampled()
    numbers = {
        "record_bare_ns": _bare(),
        "record_ns": _best(_record_with_aggregates(Monitor()), EVENTS) * NS,
        "record_sampled_ns": sampled_ns,
        "record_packed_ns": _best(_record_packed(Monitor()), EVENTS) * NS,
        "record_threads_ns": threads_ns,
        "sampled_off_by": off_by,
        "by_type_us": _by_type_us(),
        "logging_ns": _best(_log, EVENTS) * NS,
        "record_lost": lost,
    } | _export()
    numbers["logging_over_record"] = numbers["logging_ns"] / numbers["record_ns"]
    return {name: numbers[name] for name in GOALS}


def _best(work: Callable[[], object], per: int, rounds: int = ROUNDS) -> float:
    """CPU seconds of ``work`` divided by ``per``, the best of the rounds."""
    return min(_cpu_s(work) for _ in range(rounds)) / per


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _bare() -> float:
    """What a caller pays between two folds: fewer events than make one, without a response time."""
    monitor, count = Monitor(), FOLD_AT - 1

    def work() -> None:
        record = monitor.record
        for _ in range(count):
            record(
                "websocket", "send", script_name="daemon/app.py", function_name="send", data_size_bytes=512
            )

    best = 1.0
    for _ in range(20 * ROUNDS):
        best = min(best, _cpu_s(work) / count)
        assert monitor.sequence  # a read folds what was recorded
    return best * NS


def _record_with_aggregates(monitor: Monitor, count: int = EVENTS) -> Callable[[], None]:
    """Folding included, with response times that spread over the buckets."""
    times = [1.0 + n % 997 for n in range(count)]

    def work() -> None:
        record = monitor.record
        for ms in times:
            record(
                "websocket",
                "send",
                script_name="daemon/app.py",
                function_name="send",
                data_size_bytes=512,
                response_time_ms=ms,
            )

    return work


def _sampled() -> tuple[float, float]:
    """One in 10 is kept; the ring holds all of those."""
    monitor = Monitor(ROUNDS * EVENTS, sampling=Sampling(parse("websocket=1/10")))
    best = _best(_record_with_aggregates(monitor), EVENTS)
    weight = sum(event.weight for event in monitor.recent())
    count = monitor.stats()["websocket"].total_events
    assert count == ROUNDS * EVENTS
    return best * NS, abs(weight - count)


def _record_packed(monitor: Monitor) -> Callable[[], None]:
    """As the daemon does it: a timed event whose metadata names its call and holds three figures."""
    keys = ("queue_wait_ms", "permit_wait_ms", "result_ms")
    origin = {"session": "0123456789abcdef", "request": "r1", "tool": "chat"}

    def work() -> None:
        record = monitor.record
        for n in range(EVENTS):
            record(
                "websocket",
                "send",
                script_name="daemon",
                function_name="chat",
                data_size_bytes=512,
                response_time_ms=1.0 + n % 997,
                metadata=(keys, origin, n * 0.1, n * 0.2, n * 0.3),
            )

    return work


def _by_type_us() -> float:
    """One reading of what a live screen shows: ten series with a full minute behind them."""
    now = [1_700_000_000.0]
    monitor = Monitor(clock=lambda: now[0])
    for second in range(60):
        now[0] += 1
        for n in range(100):
            monitor.record(
                "websocket", "send", script_name="x", function_name=f"f{n % 10}", response_time_ms=second + n
            )
    assert len(monitor.by_series()) == 10
    return _best(monitor.by_type, 1) * 1e6


def _threads() -> tuple[float, int]:
    monitor = Monitor()
    work = _record_with_aggregates(monitor, THREAD_EVENTS)

    def together() -> None:
        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    took = _best(together, THREADS * THREAD_EVENTS, 1)
    stats = monitor.stats()["websocket"]
    assert stats.total_sent_bytes == 512 * stats.total_events
    assert monitor.sequence == stats.total_events
    return took * NS, THREADS * THREAD_EVENTS - stats.total_events


def _log() -> None:
    logger = logging.getLogger("exai.benchmark")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [logging.NullHandler()]
    for ms in range(EVENTS):
        logger.info("%s %s %s %d bytes in %.1f ms", "websocket", "send", "send", 512, ms)


def _export() -> dict[str, float]:
    monitor = Monitor(EVENTS)
    for n in range(EVENTS):
        monitor.record(
            "websocket",
            "send",
            script_name="daemon/app.py",
            function_name="send",
            data_size_bytes=n,
            response_time_ms=n / 7,
            metadata={"request_id": f"r{n}"},
        )
    assert len(monitor.recent()) == EVENTS
    document: dict[str, Any] = json.loads(monitor.export())

    def dump() -> None:
        with Path(os.devnull).open("w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=2)

    export_s, dump_s = _best(monitor.export, 1), _best(dump, 1, 5)
    return {
        "export_ms": export_s * 1000,
        "json_dump_ms": dump_s * 1000,
        "json_dump_over_export": dump_s / export_s,
    }


def main() -> None:
    """Print the table."""
    print(f"| {'what':22} | {'here':>8} | {'goal':12} |\n|{'-' * 24}|{'-' * 9}:|{'-' * 14}|")
    for name, number in measure().items():
        shown = f"{number:.0f}" if number >= 100 or number == 0 else f"{number:.1f}"
        print(f"| {name:22} | {shown:>8} | {GOALS[name]:12} |")


if __name__ == "__main__":
    main()
