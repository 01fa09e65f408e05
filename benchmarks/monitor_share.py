"""The monitor's share of a call's CPU, two ways, in one daemon under load.

``share`` adds up the CPU that the thread spends where a call tells the monitor something: making metadata,
recording, folding, freeing what falls from the ring. The clock is read twice before, to take off its cost.
``switched`` compares windows of a tenth of a second with everything told and nothing told, in turn; it holds
what the events do to the caches too, and so much noise that on a busy machine it says little.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.calls import READY_LINE, WIDE, simulator
from benchmarks.processes import ROOT, NotMeasured, cores, running
from exai_ops.daemon import events, housekeeping, lifecycle
from exai_ops.daemon.core import Daemon
from exai_ops.providers.run import Run

SESSIONS: Final = 32
WARM_S: Final = 4.0
"""For the load to come up, and the daemon to have made all that a call needs once."""
WINDOW_S: Final = 0.1
LEAST_CALLS: Final = 20
"""Of a window; one with fewer is left out, with its partner."""

_PLACES: Final = (
    (events, "result"),
    (events, "permit"),
    (Daemon, "received"),
    (Run, "_asking"),
    (Run, "_tell"),
)
"""Where a call tells the monitor something."""


@dataclass(frozen=True, slots=True)
class Share:
    """What was seen.

    Attributes:
        share, switched: Of a call's CPU; see the module.
        told_us, call_us: CPU of the telling, and of the whole call, the telling included.
        pairs: How many pairs of windows ``switched`` is the median of.
    """

    share: float
    switched: float
    told_us: float
    call_us: float
    pairs: int


class Telling:
    """The places, left alone, silenced, or under a clock; and how many calls there were."""

    def __init__(self, daemon: Daemon) -> None:
        self.calls = self.times = 0
        self.told_ns = 0
        self._known = [(owner, name, getattr(owner, name)) for owner, name in _PLACES]
        ended = daemon.metrics.ended

        def counted(*given: Any) -> None:
            self.calls += 1
            ended(*given)

        daemon.metrics.ended = counted  # type: ignore[method-assign, assignment]

    def leave(self) -> None:
        self._put(lambda function: function)

    def silence(self) -> None:
        self._put(lambda _function: _nothing)

    def clock(self) -> None:
        self._put(self.clocked)

    def _put(self, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        for owner, name, function in self._known:
            setattr(owner, name, wrap(function))

    def clocked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        clock = time.thread_time_ns

        def timed(*args: Any, **given: Any) -> None:
            before = clock()
            began = clock()
            function(*args, **given)
            self.told_ns += clock() - began - (began - before)
            self.times += 1

        return timed

    async def window(self, put: Callable[[], None]) -> float | None:
        """CPU seconds of a call; None when there were too few."""
        put()
        calls, cpu = self.calls, time.process_time()
        await asyncio.sleep(WINDOW_S)
        cpu, calls = time.process_time() - cpu, self.calls - calls
        return cpu / calls if calls >= LEAST_CALLS else None


def _nothing(*_args: Any, **_given: Any) -> None:
    return


async def _measure(daemon: Daemon) -> None:
    """In place of a chore: measure for as long as asked, then print."""
    telling, pairs = Telling(daemon), int(os.environ["BENCH_PAIRS"])
    await asyncio.sleep(WARM_S)
    found: list[tuple[float, float]] = []
    for pair in range(pairs):
        first, second = (telling.leave, telling.silence)[:: 1 if pair % 2 else -1]
        seen = {put == telling.leave: await telling.window(put) for put in (first, second)}
        told, silent = seen[True], seen[False]
        if told is not None and silent is not None:
            found.append((told, silent))
    print("share " + json.dumps([found, *await _clocked(telling, pairs)]), flush=True)
    await asyncio.Event().wait()


async def _clocked(telling: Telling, windows: int) -> tuple[float, float]:
    """CPU seconds of the telling, and of a whole call without the clocks."""
    telling.clock()
    telling.calls = telling.times = telling.told_ns = 0
    cpu = time.process_time()
    await asyncio.sleep(windows * WINDOW_S)
    cpu = time.process_time() - cpu
    calls, times, told_s = telling.calls, telling.times, telling.told_ns / 1e9
    telling.leave()
    empty, rounds = telling.clocked(_nothing), 20_000
    began = time.process_time()
    for _ in range(rounds):
        empty("daemon", size=1, ending_at=1.0)
    clock_s = (time.process_time() - began) / rounds
    return told_s / max(calls, 1), (cpu - times * clock_s) / max(calls, 1)


def _serve() -> None:
    from exai_ops import logs
    from exai_ops.daemon.loop import run
    from exai_ops.daemon.mcp import mcp_app
    from exai_ops.settings import environment, load

    settings = load(environment(None))
    logs.configure(settings)
    housekeeping.prune = _measure
    run(lifecycle.serve(settings, simulate=False, mcp=mcp_app))


def measure(folder: Path, *, pairs: int = 100) -> Share:
    """The monitor's share of a call. Raises NotMeasured."""
    server_core, load_core = cores() or (None, None)
    lasting_s = 2 * WARM_S + 3 * pairs * WINDOW_S * 1.5
    with simulator(folder, load_core) as upstream:
        env = WIDE | {"KIMI_API_URL": upstream.address, "PYTHONPATH": str(ROOT), "BENCH_PAIRS": str(pairs)}
        args = [sys.executable, "-m", "benchmarks.monitor_share", "serve"]
        with running(args, READY_LINE, folder=folder, core=server_core, env=env) as server:
            load = [sys.executable, "-m", "benchmarks.load", "websocket", server.address]
            load += ["--pid", str(server.pid), "--sessions", str(SESSIONS), "--warm-s", "0"]
            load += ["--window-s", str(lasting_s)]
            with running(load, "^seen (.+)$", folder=folder, core=load_core, env={"PYTHONPATH": str(ROOT)}):
                line = next((line for line in server.lines if line.startswith("share ")), None)
    found, told_s, call_s = json.loads(line.removeprefix("share ")) if line else ([], 0.0, 0.0)
    if not found or not call_s:
        raise NotMeasured("the daemon answered too few calls")
    switched = statistics.median(1 - silent / told for told, silent in found)
    return Share(told_s / call_s, switched, told_s * 1e6, call_s * 1e6, len(found))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="exai-bench-") as folder:
        seen = measure(Path(folder))
    print(f"{seen.share:.2%}: {seen.told_us:.2f} of {seen.call_us:.0f} us a call")
    print(f"switched on and off: {seen.switched:.2%}, median of {seen.pairs} pairs")


if __name__ == "__main__":
    _serve() if sys.argv[1:] == ["serve"] else main()
