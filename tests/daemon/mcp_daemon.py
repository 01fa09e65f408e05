"""A daemon in the test's own event loop, on a free port, over a simulator in the same loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exai_ops.daemon.core import Daemon
from exai_ops.daemon.http import application
from exai_ops.daemon.lifecycle import bind, close_all
from exai_ops.daemon.mcp import mcp_app
from exai_ops.daemon.server import server
from exai_ops.monitor.recorder import Monitor
from exai_ops.providers.router import Providers
from exai_ops.providers.simulator import SimulatorState, running_simulator
from exai_ops.settings import Settings, load
from exai_ops.storage.sqlite import SQLiteStorage
from exai_ops.tools.registry import load_tools


@dataclass(frozen=True)
class Running:
    """What a test looks at."""

    daemon: Daemon
    sim: SimulatorState
    port: int

    @property
    def url(self) -> str:
        """Of MCP."""
        return f"http://127.0.0.1:{self.port}/mcp"


def _settings(folder: Path, sim_url: str, fields: dict[str, Any]) -> Settings:
    environ = {
        "EXAI_STATE_DIR": str(folder),
        "KIMI_API_KEY": "made-up",
        "KIMI_API_URL": f"{sim_url}/kimi/v1",
        "EXAI_PROVIDER_ATTEMPTS": "1",
    }
    return load(environ, overrides={"ws_port": 0, **fields})


@asynccontextmanager
async def running_daemon(folder: Path, **fields: Any) -> AsyncIterator[Running]:
    """The daemon while the block runs; ``fields`` are of its settings."""
    async with AsyncExitStack() as stack:
        sim = await stack.enter_async_context(running_simulator())
        settings = _settings(folder, sim.base_url, fields)
        monitor = Monitor(settings.event_buffer)
        storage = SQLiteStorage(settings.database, record=monitor.record)
        stack.push_async_callback(storage.close)
        await storage.open()
        providers = await stack.enter_async_context(Providers(settings, record=monitor.record))
        daemon = Daemon(
            settings,
            storage=storage,
            providers=providers,
            registry=load_tools(),
            monitor=monitor,
            simulated=False,
        )
        listening = bind(settings)
        stack.callback(listening.close)
        web = server(application(daemon, mcp_app(daemon)), settings)
        async with asyncio.TaskGroup() as tasks:
            daemon.dispatcher.start(tasks)
            serving = tasks.create_task(web.serve(sockets=[listening]))
            await web.listening.wait()
            daemon.state = "ready"
            yield Running(daemon, sim.state, listening.getsockname()[1])
            await close_all(daemon)
            web.should_exit = True
            await serving
