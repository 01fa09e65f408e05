"""A daemon's HTTP side and a monitor that records at a pace, with what that costs; for ``monitor_stream``.

``RATE SECONDS`` on stdin is answered by a line of JSON: nanoseconds that a call of ``record`` took on average
and CPU microseconds of the whole process for an event.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import time
from pathlib import Path

from exai_ops.daemon.core import Daemon
from exai_ops.daemon.http import application
from exai_ops.daemon.lifecycle import bind
from exai_ops.daemon.loop import run
from exai_ops.daemon.mcp import mcp_app
from exai_ops.daemon.server import server
from exai_ops.monitor.recorder import Monitor
from exai_ops.providers.router import Providers
from exai_ops.settings import Settings
from exai_ops.storage.sqlite import SQLiteStorage
from exai_ops.tools.registry import Registry

CUT = 0.01
"""Share of the slowest calls that is left out: there another process had the core."""


async def serve(folder: Path) -> None:
    """Until stdin ends."""
    settings = Settings(state_dir=folder, ws_port=0)
    monitor = Monitor(settings.event_buffer)
    storage = SQLiteStorage(settings.database)
    await storage.open()
    async with Providers(
        settings, record=monitor.record, simulated_base_url="http://127.0.0.1:9"
    ) as providers:
        daemon = Daemon(
            settings,
            storage=storage,
            providers=providers,
            registry=Registry([]),
            monitor=monitor,
            simulated=True,
        )
        listening = bind(settings)
        web = server(application(daemon, mcp_app(daemon)), settings)
        serving = asyncio.create_task(web.serve(sockets=[listening]))
        await web.listening.wait()
        daemon.state = "ready"
        gc.collect()
        gc.freeze()
        print(f"ready on {listening.getsockname()[1]}", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            rate, seconds = map(float, line.split())
            print(json.dumps(await paced(monitor, rate, seconds)), flush=True)
        for close in daemon.closers:
            await close()
        web.should_exit = True
        await serving
    await storage.close()


async def paced(monitor: Monitor, rate: float, seconds: float) -> dict[str, float]:
    """Record events one by one, as calls do."""
    loop = asyncio.get_running_loop()
    took: list[int] = []
    record, clock = monitor.record, time.perf_counter_ns
    began, cpu = loop.time(), time.process_time()
    count = int(rate * seconds)
    for n in range(count):
        before = clock()
        record(
            "kimi",
            "receive",
            script_name="providers/upstream.py",
            function_name="stream",
            data_size_bytes=2300,
            response_time_ms=1.0 + n % 997,
            metadata={"request": f"r{n}", "session": "0123456789abcdef", "model": "kimi-k2", "attempt": 1},
        )
        took.append(clock() - before)
        await asyncio.sleep(max(0.0, began + (n + 1) / rate - loop.time()))
    cpu_s = time.process_time() - cpu
    took.sort()
    kept = took[: int(count * (1 - CUT))]
    return {"record_ns": statistics.fmean(kept), "cpu_us": cpu_s / count * 1e6}


if __name__ == "__main__":
    run(serve(Path(sys.argv[1])))
