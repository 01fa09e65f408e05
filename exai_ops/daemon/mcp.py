"""``/mcp``: MCP over streamable HTTP, whose SDK is imported when the first request comes.

The SDK costs 600 ms and 35 MB, so a daemon without MCP clients does without; the import runs in a thread,
and the event loop goes on.
"""

from __future__ import annotations

import asyncio
import importlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from exai_ops.daemon.core import Daemon
from exai_ops.daemon.guard import App, Receive, Scope, Send, refuse
from exai_ops.logs import get_logger

if TYPE_CHECKING:
    from exai_ops.daemon.mcp_endpoint import Endpoint

_LOG: Final = get_logger("exai.mcp")
_MODULE: Final = "exai_ops.daemon.mcp_endpoint"


def mcp_app(daemon: Daemon) -> App:
    """The application behind ``/mcp``; the daemon closes it before it stops serving."""
    app = _LazyEndpoint(daemon)
    daemon.closers.append(app.close)
    return app


class _LazyEndpoint:
    """The endpoint from its first request on.

    One task opens and closes it, because a task group must be left by the task that entered it.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._opening: asyncio.Future[Endpoint | None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = None if self._stop.is_set() else await self._opened()
        if endpoint is None:
            why = (
                "the daemon is stopping" if self._stop.is_set() else "MCP did not start; see the daemon's log"
            )
            await refuse(scope, send, 503, why)
            return
        await endpoint(scope, receive, send)

    async def _opened(self) -> Endpoint | None:
        """The endpoint, opened once however many ask; None when that failed."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_future()
            self._running = asyncio.create_task(self._run(self._opening))
        return await asyncio.shield(self._opening)

    async def _run(self, opening: asyncio.Future[Endpoint | None]) -> None:
        try:
            async with AsyncExitStack() as stack:
                module = await asyncio.to_thread(importlib.import_module, _MODULE)
                opening.set_result(await stack.enter_async_context(module.running_endpoint(self._daemon)))
                await self._stop.wait()
        except Exception:  # noqa: BLE001 - the boundary of the task; the next request tries again
            _LOG.exception("MCP ended by a defect")
            self._opening = None
        finally:
            if not opening.done():
                opening.set_result(None)

    async def close(self) -> None:
        """End all MCP sessions; nothing to do when there was no request."""
        self._stop.set()
        if self._running is not None:
            await asyncio.wait({self._running})
