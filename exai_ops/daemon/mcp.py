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

if TYPE_CHECKING:
    from exai_ops.daemon.mcp_endpoint import Endpoint

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
        self._endpoint: asyncio.Future[Endpoint] | None = None
        self._running: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._stop.is_set():
            await refuse(scope, send, 503, "the daemon is stopping")
            return
        if self._endpoint is None:
            self._endpoint = asyncio.get_running_loop().create_future()
            self._running = asyncio.create_task(self._run(self._endpoint))
        endpoint = await asyncio.shield(self._endpoint)
        await endpoint(scope, receive, send)

    async def _run(self, opened: asyncio.Future[Endpoint]) -> None:
        try:
            async with AsyncExitStack() as stack:
                module = await asyncio.to_thread(importlib.import_module, _MODULE)
                opened.set_result(await stack.enter_async_context(module.running_endpoint(self._daemon)))
                await self._stop.wait()
        except BaseException as error:
            if not opened.done():
                opened.set_exception(RuntimeError("MCP could not be started"))
                opened.exception()  # also when the request that began this has left
            if not isinstance(error, asyncio.CancelledError):
                self._endpoint = None
            raise

    async def close(self) -> None:
        """End all MCP sessions; nothing to do when there was no request."""
        self._stop.set()
        if self._running is not None:
            await asyncio.wait({self._running})
