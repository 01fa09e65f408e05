"""A tenant's limit found through a context variable; an audit that fails keeps the permit."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row

tenant_limit: contextvars.ContextVar[asyncio.BoundedSemaphore] = contextvars.ContextVar("tenant_limit")


class AuditError(Exception):
    pass


async def audit(action: str) -> None:
    await asyncio.sleep(0)
    if action.startswith("delete"):
        raise AuditError(action)


async def act(action: str) -> str:
    limit = tenant_limit.get()
    await limit.acquire()
    await audit(action)
    try:
        await asyncio.sleep(0)
        return f"{action}: done"
    finally:
        limit.release()


async def session(actions: list[str]) -> int:
    denied = 0
    for action in actions:
        try:
            await act(action)
        except AuditError:
            denied += 1
    return denied


async def main() -> None:
    tenant_limit.set(asyncio.BoundedSemaphore(3))
    counts = await asyncio.gather(session(["read", "delete 1", "write"]), session(["delete 2", "read"]))
    await live(row(tenant_limit.get(), "contextvar tenant_limit", 3, "leaked", count=sum(counts)))


asyncio.run(main())
