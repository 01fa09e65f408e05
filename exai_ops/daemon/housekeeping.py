"""What the daemon does by the clock: progress frames, leaks, slow clients, old rows."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from exai_ops.daemon.connection import SEND_TIMEOUT_S
from exai_ops.daemon.core import Daemon
from exai_ops.daemon.permits import Entry
from exai_ops.daemon.protocol import INTERRUPTED, progress
from exai_ops.errors import StorageError
from exai_ops.logs import get_logger

_LOG: Final = get_logger("exai.housekeeping")
LEAK_INTERVAL_S: Final = 1.0
PRUNE_INTERVAL_S: Final = 60.0


async def report_progress(daemon: Daemon) -> None:
    """Send a progress frame for each running call, every EXAI_WS_PROGRESS_INTERVAL_SECS."""
    interval_s = daemon.settings.ws_progress_interval_s
    due: dict[int, float] = {}
    while True:
        await asyncio.sleep(min(0.5, interval_s / 4))
        now = time.monotonic()
        calls = {id(call): call for call in daemon.dispatcher.running}
        due = {key: due.get(key, call.started_at + interval_s) for key, call in calls.items()}
        for key, call in calls.items():
            if now >= due[key]:
                due[key] = now + interval_s
                what = "running" if call.accepted_at else "waiting for capacity"
                note = f"{what}, {now - call.started_at:.0f} s"
                # Put in line now, so that no result overtakes it; written apart, so that no client holds
                # up another's.
                call.announce(progress(call.request_id, call.tool, time.time(), note))
                daemon.dispatcher.spawn(call.flush())


async def watch_permits(daemon: Daemon) -> None:
    """Name each leaked permit once, and end what holds it where something does."""
    while True:
        await asyncio.sleep(LEAK_INTERVAL_S)
        leaks = daemon.ledger.leaks()
        numbers = {entry.number for entry, _ in leaks}
        daemon.leaking = {n: reason for n, reason in daemon.leaking.items() if n in numbers}
        for entry, reason in leaks:
            if daemon.leaking.get(entry.number) != reason:
                daemon.leaking[entry.number] = reason
                _name_leak(daemon, entry, reason)
            if reason != "owner done" and entry.task is not None:
                _end_holder(daemon, entry, reason)
        for connection in list(daemon.connections):
            blocked = connection.blocked_since
            if blocked is not None and time.monotonic() - blocked > SEND_TIMEOUT_S:
                connection.abort("too slow: it takes nothing")
            elif connection.unsent:
                daemon.dispatcher.spawn(connection.flush())


def _name_leak(daemon: Daemon, entry: Entry, reason: str) -> None:
    owner = entry.owner
    site = f"{entry.site[0].rsplit('/', 1)[-1]}:{entry.site[1]}"
    _LOG.error(
        "permit leaked",
        reason=reason,
        tool=owner.tool,
        session=owner.session_id,
        request=owner.request_id,
        site=site,
        age_s=round(daemon.ledger.now() - entry.taken_at, 3),
    )
    daemon.metrics.leaks.labels(reason).inc()
    daemon.monitor.record(
        "websocket",
        "error",
        script_name="daemon",
        function_name="permit_leak",
        error=f"permit leaked: {reason}",
        metadata={
            "tool": owner.tool,
            "session": owner.session_id,
            "request": owner.request_id,
            "provider": entry.provider,
            "site": site,
        },
    )


def _end_holder(daemon: Daemon, entry: Entry, reason: str) -> None:
    """The one way to reclaim a permit: end the task that holds it, which then gives it back itself."""
    for call in daemon.dispatcher.running:
        if call.entry is entry:
            call.cancel(INTERRUPTED, f"ended by the daemon: {reason}")
            return
    if entry.task is not None:
        entry.task.cancel()


async def prune(daemon: Daemon) -> None:
    """Forget what is past its time."""
    settings = daemon.settings
    while True:
        await asyncio.sleep(PRUNE_INTERVAL_S)
        now = time.time()
        daemon.sessions.prune(now, settings.result_ttl_s)
        try:
            await daemon.storage.prune(
                results_before=now - settings.result_ttl_s,
                conversations_before=now - settings.conversation_ttl_s,
                sessions_before=now - max(settings.result_ttl_s, 86400.0),
            )
        except StorageError as error:
            _LOG.warning("not pruned", error=str(error))
