"""MCP over stdio, forwarded to the running daemon: what an editor starts as ``exai mcp``.

stdout carries MCP alone. The bridge lives as long as its stdin; without a daemon it says so and keeps
trying. Everything that it has running is cancelled when it ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from typing import Any, Final, TypeAlias

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.session import ServerSession
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

import exai_ops
from exai_ops.client.link import AWAY_S, Link
from exai_ops.client.target import Target
from exai_ops.errors import ExaiError
from exai_ops.logs import get_logger
from exai_ops.render.as_mcp import COMPLETE, error_result, relay

Context: TypeAlias = ServerRequestContext[Any, Any]

_LOG: Final = get_logger("exai.bridge")

LAST_WORD_S: Final = 0.5
"""How long the daemon may take to confirm the cancellations, in the end."""


class Bridge:
    """An MCP server whose tools are the daemon's."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._telling: set[asyncio.Task[None]] = set()

    def server(self) -> Server[Any]:
        """The server, to be run over a pair of streams."""
        server: Server[Any] = Server("exai", version=exai_ops.__version__)
        server.add_request_handler("tools/list", types.PaginatedRequestParams, self._list_tools)
        server.add_request_handler("tools/call", types.CallToolRequestParams, self._call_tool)
        return server

    async def _list_tools(self, ctx: Context, _params: types.PaginatedRequestParams) -> dict[str, Any]:
        try:
            tools = await self._link.tools()
        except ExaiError as error:
            self._link.when_up(partial(self._tell_of_tools, ctx.session))
            raise MCPError(types.INTERNAL_ERROR, _in_one_line(error)) from None
        return {"tools": tools, "ttlMs": 0, "cacheScope": "private", **COMPLETE}

    async def _call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> dict[str, Any]:
        wants_progress = "progress_token" in (ctx.meta or {})
        try:
            async with self._link.call(params.name, params.arguments, stream=wants_progress) as call:
                return await relay(call.receive, ctx.session.report_progress)
        except ExaiError as error:
            return error_result({"code": "UNREACHABLE", "message": error.message, "hint": error.hint})

    def _tell_of_tools(self, session: ServerSession) -> None:
        """A client that asked too early may ask again."""
        task = asyncio.create_task(session.send_tool_list_changed())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)


def _in_one_line(error: ExaiError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


async def serve(target: Target, *, result_ttl_s: float) -> None:
    """Serve until stdin closes. A signal ends the process, within a second, as it would have anyway.

    ``result_ttl_s`` is how long the daemon keeps a result: a call is not waited for until it is gone.
    """
    link = Link(target, away_s=min(AWAY_S, result_ttl_s / 2))
    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _stop, stopped, number)
    linking = asyncio.create_task(link.run())
    serving = asyncio.create_task(_serve_stdio(Bridge(link).server()))
    ends: list[asyncio.Future[Any]] = [linking, serving, stopped]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    await link.close(LAST_WORD_S)
    if stopped.done() or linking.done():
        _end_process(stopped, linking)
    linking.cancel()
    await asyncio.wait({linking})
    await serving


def _stop(stopped: asyncio.Future[int], number: int) -> None:
    if not stopped.done():
        stopped.set_result(number)


async def _serve_stdio(server: Server[Any]) -> None:
    options = server.create_initialization_options(NotificationOptions(tools_changed=True))
    async with stdio_server() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, options)


def _end_process(stopped: asyncio.Future[int], linking: asyncio.Task[None]) -> None:
    """End at once: the thread that reads stdin cannot be told to stop, and would keep the process."""
    if stopped.done():
        number = stopped.result()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    _LOG.error("the link to the daemon ended by a defect", exc_info=linking.exception())
    os._exit(70)
