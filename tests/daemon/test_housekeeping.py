"""What is done by the clock: progress for all, leaks named, slow clients dropped, none held up by another."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from exai_ops.daemon import housekeeping
from exai_ops.daemon.connection import SEND_TIMEOUT_S
from exai_ops.daemon.core import Daemon
from exai_ops.daemon.permits import GONE_GRACE_S, Owner

from .daemon_parts import SOON_S, Bench, House, Line, open_house

Chore = Callable[[Daemon], Coroutine[Any, Any, None]]
Opened = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def opened(tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Opened:
    monkeypatch.setattr(housekeeping, "LEAK_INTERVAL_S", 0.01)
    return lambda **fields: open_house(tmp_path, bench.tools(), **fields)


@contextlib.asynccontextmanager
async def doing(house: House, chore: Chore) -> AsyncIterator[None]:
    task = house.tasks.create_task(chore(house.daemon))
    try:
        yield
    finally:
        task.cancel()


async def soon(true: Callable[[], object]) -> None:
    """Wait for what only the chore's own clock brings about."""
    async with asyncio.timeout(SOON_S):
        while not true():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


def notes(line: Line, request_id: str = "r1") -> list[str]:
    return [frame["note"] for frame in line.of(request_id) if frame["op"] == "progress"]


async def test_running_and_queued_calls_are_told_that_they_live(opened: Opened, bench: Bench) -> None:
    async with (
        opened(ws_progress_interval_s=0.1, global_max_inflight=1) as house,
        doing(house, housekeeping.report_progress),
    ):
        house.call("wait")
        house.call("wait", "r2")
        await house.line.until(lambda: len(notes(house.line)) > 2 and len(notes(house.line, "r2")) > 2)
        assert notes(house.line)[1].startswith("running")
        assert notes(house.line, "r2")[1].startswith("waiting for capacity")
        bench.go.set()
        await house.line.text("r2")
        await house.idle()
        assert house.line.ops()[-1] == house.line.ops("r2")[-1] == "call_tool_res"


async def test_a_client_that_takes_nothing_does_not_hold_up_anothers_progress(
    opened: Opened, bench: Bench
) -> None:
    async with opened(ws_progress_interval_s=0.1) as house, doing(house, housekeeping.report_progress):
        slow, line = Line(), Line()
        for sink in (slow, line):
            house.call("wait", session=await house.join(sink), line=sink)
            await sink.until(lambda sink=sink: "call_tool_ack" in sink.ops())  # type: ignore[misc]
        slow.gate.clear()
        await line.until(lambda: len(notes(line)) >= 4)
        slow.gate.set()
        bench.go.set()
        await slow.text()


async def test_a_client_that_takes_nothing_does_not_keep_leaks_unnamed(opened: Opened) -> None:
    async with opened() as house:
        slow, blocked = Line(), Line()
        slow.hold('{"op":"progress"}')
        slow.gate.clear()
        blocked.blocked_since = time.monotonic() - SEND_TIMEOUT_S - 1
        house.daemon.connections |= {slow, blocked}
        hold = house.ledger.hold(Owner("s", "r", "forgetful"), "kimi")
        async with doing(house, housekeeping.watch_permits):
            await slow.until(lambda: slow.frames)
            await soon(lambda: blocked.aborted)
            await asyncio.create_task(hold.__aenter__())
            await soon(lambda: house.daemon.leaking)
        (event,) = house.events("permit leaked: owner done")
        assert event.metadata["tool"] == "forgetful"
        assert event.metadata["provider"] == "kimi"
        assert event.metadata["site"].startswith("tasks.py:") or ":" in event.metadata["site"]
        assert house.ledger.held == 1  # named, not taken away
        assert b'exai_permit_leaks_total{reason="owner done"} 1.0' in house.daemon.metrics.exposition()
        await hold.__aexit__(None, None, None)
        slow.gate.set()
        house.daemon.connections.clear()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"inflight_ttl_s": 0.1}, "deadline passed"), ({}, "connection gone")],
)
async def test_a_leaked_permit_is_reclaimed_by_ending_its_holder(
    opened: Opened, bench: Bench, fields: dict[str, Any], reason: str
) -> None:
    async with opened(**fields) as house, doing(house, housekeeping.watch_permits):
        house.call("wait")
        await house.line.until(lambda: bench.started)
        if reason == "connection gone":
            (call,) = house.dispatcher.running
            call.gone_since = time.monotonic() - GONE_GRACE_S
        error = await house.line.error()
        assert error["code"] == "INTERRUPTED"
        assert reason in error["message"]
        await house.idle()
        assert len(house.events(f"permit leaked: {reason}")) == 1
        assert bench.ended == ["r1"]


async def test_a_busy_permit_is_never_named(opened: Opened, bench: Bench) -> None:
    async with opened() as house, doing(house, housekeeping.watch_permits):
        house.call("wait")
        await house.line.until(lambda: bench.started)
        looked = 0
        leaks = house.ledger.leaks

        def counted() -> Any:
            nonlocal looked
            looked += 1
            return leaks()

        house.ledger.leaks = counted  # type: ignore[method-assign]
        await soon(lambda: looked > 5)
        bench.go.set()
        assert await house.line.text() == "done"
        assert house.daemon.leaking == {}


async def test_pruning_survives_a_store_that_is_away(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "PRUNE_INTERVAL_S", 0.01)
    async with opened() as house:
        session = await house.join(Line())
        session.connection, session.idle_since = None, 0.0
        await house.daemon.storage.close()
        async with doing(house, housekeeping.prune):
            await soon(lambda: session not in list(house.daemon.sessions))
            again = await house.join(Line())
            again.connection, again.idle_since = None, 0.0
            await soon(lambda: again not in list(house.daemon.sessions))
