"""A provider that fails opens its breaker: the webhook is told, the state shows it, and it is over again."""

from __future__ import annotations

import asyncio

from .alert_receiver import receiving
from .conftest import Simulator, StartDaemon, urls
from .ws_client import joined

QUICK = {
    "EXAI_PROVIDER_ATTEMPTS": "1",
    "EXAI_BREAKER_FAILURES": "1",
    "EXAI_BREAKER_RESET_SECS": "1",
    "EXAI_ALERTS": "breaker_open > 0",
}


async def test_a_breaker_that_opens_and_closes(start_daemon: StartDaemon, sim: Simulator) -> None:
    async with receiving() as receiver:
        sim.faults(kimi="status=500")
        daemon = start_daemon({**urls(sim.base_url), **QUICK, "EXAI_ALERT_WEBHOOK": receiver.url})
        async with joined(daemon.address) as client:
            await client.chat("r1", "a", model="kimi")
            await receiver.reached(1)
            firing = receiver.got[0]
            assert (firing["status"], firing["signal"], firing["value"]) == ("firing", "breaker_open", 1)
            assert firing["runbook"] == "docs/runbooks.md#breaker-open"
            assert "(kimi)" in firing["message"]
            status = await asyncio.to_thread(lambda: daemon.get("/status").json())
            assert [one["rule"] for one in status["alerts"]] == ["breaker_open > 0"]
            sim.reset()
            calls = 1
            while len(receiver.got) < 2:  # its reset time goes by, then one call that succeeds closes it
                calls += 1
                await client.chat(f"r{calls}", "a", model="kimi")
                await asyncio.sleep(0.1)
            assert receiver.got[1]["status"] == "resolved"
        assert daemon.event("alert firing")["rule"] == "breaker_open > 0"
        daemon.stop()
    assert receiver.url not in daemon.stderr
