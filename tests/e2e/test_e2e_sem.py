"""``exai sem check`` of a daemon at work: its ledger, its memory, and an answer that is not true."""

from __future__ import annotations

import asyncio
import copy
import json
import signal
from typing import Any

import pytest

from exai_ops.commands.sem import daemon as looking
from exai_ops.findings import Finding, Status
from exai_ops.sem.check import look
from exai_ops.sem.ledger import KIND
from exai_ops.sem.model import Verdict
from exai_ops.sem.passive.daemon import DaemonScanner

from .conftest import Simulator, StartDaemon, urls
from .exai_process import DaemonProcess
from .ws_client import joined


async def test_a_daemon_at_work(
    start_daemon: StartDaemon, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim.faults(all="stall=120")
    daemon = start_daemon({**urls(sim.base_url), "EXAI_WS_GLOBAL_MAX_INFLIGHT": "3"})
    async with joined(daemon.address) as client:
        for number in range(5):
            await client.start(f"r{number}", "chat", {"prompt": "x"})
        await client.op("progress", "r4")
        assert await asyncio.to_thread(sim.reached, received=3)
        answered = await asyncio.to_thread(daemon.exai, "sem", "check", "--format", "json")
        page = daemon.get("/status").json()
        with DaemonScanner(daemon.pid) as scanner:
            scan, said = await asyncio.to_thread(look, scanner)
        await asyncio.to_thread(_doctored, daemon, copy.deepcopy(page), monkeypatch)
        daemon.signal(signal.SIGSTOP)
        silent = await asyncio.to_thread(daemon.exai, "sem", "check", "--format", "json")
        daemon.signal(signal.SIGCONT)
    limits = [
        ("permits global", 0, 3, 3),
        ("permits kimi", page["permits"]["limits"]["kimi"]["free"], 6, 3),
        ("permits glm", 4, 4, 0),
    ]
    ledgers = [one for one in scan.semaphores if one.kind == KIND]
    assert [(one.where[0], one.value, one.bound, len(one.holders)) for one in ledgers] == limits
    assert {judgement.verdict for judgement in said} <= {Verdict.IDLE, Verdict.BUSY, Verdict.SATURATED}
    holder = ledgers[0].holders[0]
    assert holder.name.startswith("chat r0 of session ")
    assert holder.stack[0].file.endswith("exai_ops/daemon/dispatch.py")
    for done, note in ((answered, "said by the daemon's ledger"), (silent, "read from its memory")):
        assert done.code == 0, done.stderr
        told = json.loads(done.stdout)
        rows = [one for one in told["processes"][0]["semaphores"] if one["kind"] == KIND]
        assert [(o["where"][0], o["value"], o["bound"], len(o["holders"])) for o in rows] == limits
        assert note in told["processes"][0]["notes"][0]
        assert "SEM007" not in {finding["code"] for finding in told["findings"]}


def _doctored(daemon: DaemonProcess, page: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that says less than there is, against the memory of the real daemon."""
    limit = page["permits"]["limits"]["kimi"]
    changed = {"limit": limit["limit"], "held": limit["held"] - 1, "free": limit["free"] + 1}
    page["permits"]["limits"] |= {"kimi": changed}
    monkeypatch.setattr(looking, "page", lambda *_: (page, None))
    extra: list[Finding] = []
    looking.look_at_daemon(daemon.port, None, extra)
    (finding,) = extra
    assert (finding.code, finding.status) == ("SEM007", Status.WARNING)
    assert finding.message == (
        "permits kimi: the ledger says 4 of 6 free and 3 held, memory says 3 of 6 free and 3 held"
    )
