"""The monitor's share of a call's CPU: one daemon under load whose recording is switched on and off in turn.

Both are measured within the same process and second, a few hundred calls each time, so that what else the
machine does meets both alike. Off means that nothing is told: no event, and no metadata made for one.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.calls import READY_LINE, WIDE, simulator
from benchmarks.processes import ROOT, NotMeasured, cores, running
from exai_ops.daemon import events, housekeeping, lifecycle
from exai_ops.daemon.core import Daemon

SESSIONS: Final = 32
WARM_S: Final = 4.0
"""For the load to come up, and the daemon to have made all that a call needs once."""
WINDOW_S: Final = 0.1
LEAST_CALLS: Final = 20
"""Of a window; one with fewer is left out, with its partner."""


class Switch:
    """Turns a daemon's recording on and off, and counts its calls."""

    def __init__(self, daemon: Daemon) -> None:
        self.calls = 0
        self._daemon = daemon
        self._shared: Any = daemon.providers._client._shared  # noqa: SLF001 nobody else switches it off
        self._on: dict[str, Any] = {
            "result": events.result,
            "permit": events.permit,
            "received": daemon.received,
            "record": self._shared.record,
        }
        ended = daemon.metrics.ended

        def counted(*given: Any) -> None:
            self.calls += 1
            ended(*given)

        daemon.metrics.ended = counted  # type: ignore[method-assign, assignment]

    def turn(self, *, on: bool) -> None:
        """From now on record, or do not."""
        events.result = self._on["result"] if on else _nothing
        events.permit = self._on["permit"] if on else _nothing
        self._daemon.received = self._on["received"] if on else _nothing  # type: ignore[method-assign]
        object.__setattr__(self._shared, "record", self._on["record"] if on else None)

    async def window(self, *, on: bool) -> float | None:
        """CPU seconds of a call; None when there were too few."""
        self.turn(on=on)
        calls, cpu = self.calls, time.process_time()
        await asyncio.sleep(WINDOW_S)
        cpu, calls = time.process_time() - cpu, self.calls - calls
        return cpu / calls if calls >= LEAST_CALLS else None


def _nothing(*_args: Any, **_given: Any) -> None:
    return


async def _measure(daemon: Daemon) -> None:
    """In place of a chore: measure for as long as asked, then print."""
    switch, pairs = Switch(daemon), int(os.environ["BENCH_PAIRS"])
    await asyncio.sleep(WARM_S)
    found: list[tuple[float, float]] = []
    for pair in range(pairs):
        order = (True, False) if pair % 2 else (False, True)
        seen = {on: await switch.window(on=on) for on in order}
        with_it, without = seen[True], seen[False]
        if with_it is not None and without is not None:
            found.append((with_it, without))
    switch.turn(on=True)
    print("share " + json.dumps(found), flush=True)
    await asyncio.Event().wait()


def _serve() -> None:
    from exai_ops import logs
    from exai_ops.daemon.loop import run
    from exai_ops.daemon.mcp import mcp_app
    from exai_ops.settings import environment, load

    settings = load(environment(None))
    logs.configure(settings)
    housekeeping.prune = _measure
    run(lifecycle.serve(settings, simulate=False, mcp=mcp_app))


def measure(folder: Path, *, pairs: int = 150) -> tuple[float, float]:
    """The monitor's share of a call's CPU, and that CPU in us, medians over the pairs. Raises NotMeasured."""
    server_core, load_core = cores() or (None, None)
    lasting_s = 2 * WARM_S + 2 * pairs * WINDOW_S * 1.5
    with simulator(folder, load_core) as upstream:
        env = WIDE | {"KIMI_API_URL": upstream.address, "PYTHONPATH": str(ROOT), "BENCH_PAIRS": str(pairs)}
        args = [sys.executable, "-m", "benchmarks.monitor_share", "serve"]
        with running(args, READY_LINE, folder=folder, core=server_core, env=env) as server:
            load = [sys.executable, "-m", "benchmarks.load", "websocket", server.address]
            load += ["--pid", str(server.pid), "--sessions", str(SESSIONS), "--warm-s", "0"]
            load += ["--window-s", str(lasting_s)]
            with running(load, "^seen (.+)$", folder=folder, core=load_core, env={"PYTHONPATH": str(ROOT)}):
                line = next((line for line in server.lines if line.startswith("share ")), None)
    found = json.loads(line.removeprefix("share ")) if line else []
    if not found:
        raise NotMeasured("the daemon answered too few calls")
    shares = [1 - without / with_it for with_it, without in found]
    return statistics.median(shares), statistics.median(with_it for with_it, _ in found) * 1e6


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="exai-bench-") as folder:
        share, cpu_us = measure(Path(folder))
    print(f"{share:.2%} of {cpu_us:.0f} us a call")


if __name__ == "__main__":
    _serve() if sys.argv[1:] == ["serve"] else main()
