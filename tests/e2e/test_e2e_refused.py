"""A call that is refused before it begins is an event too: rates, alerts and traces count it."""

from __future__ import annotations

from .conftest import Simulator, StartDaemon, urls
from .ws_client import error_code, joined


async def test_an_unknown_tool_is_an_error_of_the_traffic(start_daemon: StartDaemon, sim: Simulator) -> None:
    daemon = start_daemon(urls(sim.base_url))
    async with joined(daemon.address) as client:
        await client.start("r1", "nope")
        assert error_code(await client.result("r1")) == "TOOL_NOT_FOUND"
    done = daemon.exai("monitor", "trace", "r1", "--port", str(daemon.port))
    assert done.code == 0
    assert "TOOL_NOT_FOUND" in done.stdout
    assert "not ended" not in done.stdout
    seen = daemon.exai("monitor", "stats", "--port", str(daemon.port), "--format", "json")
    assert '"TOOL_NOT_FOUND"' in seen.stdout or '"errors": 1' in seen.stdout
