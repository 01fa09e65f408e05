"""The daemon's health: each dependency looked at now, or said to be unknown."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any, Final

from exai_ops.daemon.core import Daemon
from exai_ops.providers.types import ProviderState

STORAGE_S: Final = 2.0
"""How long the store may take to answer; a page of health must not hang with what it reports on."""


async def health(daemon: Daemon) -> dict[str, Any]:
    """The whole account. ``status``: ok, degraded, down; starting or draining while that lasts."""
    rows = [await _storage_row(daemon), *_provider_rows(daemon), _permits_row(daemon)]
    seen = {row["status"] for row in rows}
    status = "down" if "down" in seen else "degraded" if "degraded" in seen else "ok"
    return {
        "status": status if daemon.state == "ready" else daemon.state,
        **daemon.brief(),
        "pid": os.getpid(),
        "loop_lag_ms": daemon.loop_lag_ms(),
        "dependencies": rows,
    }


async def _storage_row(daemon: Daemon) -> dict[str, Any]:
    try:
        async with asyncio.timeout(STORAGE_S):
            seen = await daemon.storage.check()
    except TimeoutError:
        detail = f"no answer within {STORAGE_S:g} s"
        return {"name": f"storage ({daemon.storage.name})", "status": "down", "detail": detail}
    return {
        "name": f"storage ({seen.name})",
        "status": "ok" if seen.ok else "down",
        "latency_ms": round(seen.latency_ms, 3),
        "detail": seen.detail,
    }


def _provider_rows(daemon: Daemon) -> Iterator[dict[str, Any]]:
    usable = daemon.providers.usable()
    for state in daemon.providers.states():
        row: dict[str, Any] = {"name": state.name, "status": _provider_status(state, usable=usable)}
        if state.configured:
            row |= {"breaker": state.breaker, "last_ok_at": state.last_ok_at, "simulated": state.simulated}
        yield row | {"detail": (state.last_error or "") if state.configured else "no key"}
    if why := daemon.no_provider():
        yield {"name": "a usable provider", "status": "down", "detail": why}


def _provider_status(state: ProviderState, *, usable: bool) -> str:
    """``unknown`` until it has been asked: nothing is ok without having been looked at."""
    if not state.configured:
        return "unconfigured"
    if state.unusable is not None:
        return "degraded" if usable else "down"
    if state.last_error is not None:
        return "degraded"
    return "unknown" if state.last_ok_at is None else "ok"


def _permits_row(daemon: Daemon) -> dict[str, Any]:
    broken = daemon.ledger.broken()
    leaks = [f"{entry.owner.tool}: {reason}" for entry, reason in daemon.ledger.leaks()]
    detail = "; ".join([*broken, *leaks])
    return {"name": "permits", "status": "degraded" if detail else "ok", "detail": detail}
