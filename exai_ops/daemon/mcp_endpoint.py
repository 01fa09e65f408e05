"""MCP's ``tools/list`` and ``tools/call`` over the dispatcher that serves the WebSocket.

An MCP session is one session of the daemon. A client of the protocol from 2026-07-28 on has no sessions:
those from one address with one name count as one while they have requests in flight, so that the limits
and the fairness between sessions hold for them too.

A call is cancelled when the client says so, and when the HTTP request that would carry its answer ends:
nothing is kept for a client that left.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from typing import Any, Final, TypeAlias

import mcp_types as types
import msgspec
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from starlette.requests import Request

import exai_ops
from exai_ops.daemon import protocol
from exai_ops.daemon.core import Daemon
from exai_ops.daemon.guard import Receive, Scope, Send
from exai_ops.daemon.sessions import Session
from exai_ops.render.as_mcp import COMPLETE, Frame, relay

Context: TypeAlias = ServerRequestContext[Any, Request]

IDLE_S: Final = 1800.0
"""How long an MCP session without a request in flight is kept."""
TOOLS_TTL_MS: Final = 60_000
"""How long a client may go on with a list of tools: they change with a restart alone."""
REPORT_S: Final = 30.0
"""How long a client may take no progress before its call is cancelled."""
_SESSION_HEADER: Final = b"mcp-session-id"
_OVER: Final = "exai.over"
"""In a request's scope: a future that is done once the request has ended, whoever ended it."""


class Guest:
    """A session of the daemon, and how many requests in flight keep it."""

    __slots__ = ("expiry", "idle_s", "requests", "session")

    def __init__(self, idle_s: float) -> None:
        self.idle_s = idle_s
        self.requests = 0
        self.session: Session | None = None
        self.expiry: asyncio.TimerHandle | None = None


class Guests:
    """Which daemon session serves which MCP client."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._guests: dict[str, Guest] = {}
        self._opening = asyncio.Lock()

    @contextmanager
    def present(self, key: str, *, idle_s: float) -> Iterator[None]:
        """Keep the session while the block runs, and ``idle_s`` seconds more."""
        guest = self._guests.setdefault(key, Guest(idle_s))
        guest.requests += 1
        if guest.expiry is not None:
            guest.expiry.cancel()
            guest.expiry = None
        try:
            yield
        finally:
            guest.requests -= 1
            if not guest.requests and self._guests.get(key) is guest:
                self._rest(key, guest)

    def _rest(self, key: str, guest: Guest) -> None:
        if guest.session is None or not guest.idle_s:
            self.drop(key)
        else:
            guest.expiry = asyncio.get_running_loop().call_later(guest.idle_s, self.drop, key)

    async def session(self, key: str) -> Session:
        """The client's session, opened at its first call."""
        guest = self._guests[key]
        async with self._opening:
            if guest.session is None:
                guest.session, _ = await self._daemon.sessions.open(time.time(), resumable=False)
        return guest.session

    def drop(self, key: str) -> None:
        """Forget a client; its session goes with its last call."""
        guest = self._guests.pop(key, None)
        if guest is None:
            return
        if guest.expiry is not None:
            guest.expiry.cancel()
        if guest.session is not None:
            guest.session.idle_since = time.time()
            self._daemon.sessions.drop_if_unreachable(guest.session)

    def drop_all(self) -> None:
        """Forget all."""
        for key in list(self._guests):
            self.drop(key)


class FrameQueue:
    """A call's frames on their way to its client; taking one in never waits for the client."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()

    def hold(self, frame: str) -> None:
        """Take a frame."""
        self._frames.put_nowait(msgspec.json.decode(frame))

    async def send(self, frame: str) -> None:
        """Take a frame."""
        self.hold(frame)

    async def flush(self) -> None:
        """Nothing is held back."""

    def leave(self, _over: asyncio.Future[None]) -> None:
        """The client has left."""
        self._frames.put_nowait(None)

    async def receive(self) -> Frame:
        """The next frame. Raises MCPError once the client has left."""
        frame = await self._frames.get()
        if frame is None:
            raise MCPError(types.CONNECTION_CLOSED, "the client left")
        return frame


class Endpoint:
    """The application behind ``/mcp``, once the SDK is there."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._tools: list[dict[str, Any]] = msgspec.json.decode(daemon.tools_frame)["tools"]
        self._schemas: Mapping[str, Any] = {tool["name"]: tool["inputSchema"] for tool in self._tools}
        self.guests = Guests(daemon)
        self.manager = StreamableHTTPSessionManager(
            self._server(),
            max_request_body_size=daemon.settings.ws_max_bytes,
            max_sessions=daemon.settings.max_connections,
            session_idle_timeout=IDLE_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = _session_header(scope)
        over = scope[_OVER] = asyncio.get_running_loop().create_future()
        try:
            with self.guests.present(name, idle_s=IDLE_S) if name else nullcontext():
                await self.manager.handle_request(scope, receive, send)
        finally:
            over.set_result(None)
        if name and scope["method"] == "DELETE":
            self.guests.drop(name)

    def _server(self) -> Server[Any]:
        server: Server[Any] = Server(
            "exai",
            version=exai_ops.__version__,
            cache_hints={"tools/list": CacheHint(TOOLS_TTL_MS, "public")},
            get_tool_input_schema=self._schemas.get,
        )
        server.add_request_handler("tools/list", types.PaginatedRequestParams, self._list_tools)
        server.add_request_handler("tools/call", types.CallToolRequestParams, self._call_tool)
        return server

    async def _list_tools(self, _ctx: Context, _params: types.PaginatedRequestParams) -> dict[str, Any]:
        self._daemon.received("mcp.list_tools", 0)
        return {"tools": self._tools, **COMPLETE}

    async def _call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> dict[str, Any]:
        request = _request(ctx)
        name = _session_header(request.scope)
        key = name or _client_name(ctx)
        size = int(request.headers.get("content-length", 0))
        with self.guests.present(key, idle_s=IDLE_S if name else 0.0):
            session = await self.guests.session(key)
            return await self._call(ctx, params, request.scope[_OVER], session, size_bytes=size)

    async def _call(
        self,
        ctx: Context,
        params: types.CallToolRequestParams,
        over: asyncio.Future[None],
        session: Session,
        *,
        size_bytes: int,
    ) -> dict[str, Any]:
        wants_progress = "progress_token" in (ctx.meta or {})
        message = protocol.CallTool(uuid.uuid4().hex, params.name, params.arguments, stream=wants_progress)
        frames = FrameQueue()
        over.add_done_callback(frames.leave)
        origin = self._daemon.dispatcher.submit(session, frames, message)
        self._daemon.received("mcp.call_tool", size_bytes, origin)
        try:
            return await relay(frames.receive, partial(_report, ctx))
        except BaseException:
            self._daemon.dispatcher.client_left(session, frames)
            raise
        finally:
            over.remove_done_callback(frames.leave)


async def _report(ctx: Context, progress: float, total: None, message: str) -> None:
    """Send progress to a client that asked for it. Raises MCPError when it takes none."""
    try:
        async with asyncio.timeout(REPORT_S):
            await ctx.session.report_progress(progress, total, message)
    except TimeoutError:
        raise MCPError(types.CONNECTION_CLOSED, "the client takes no progress") from None


def _request(ctx: Context) -> Request:
    """The HTTP request that a message came with; every one comes with one here."""
    if ctx.request is None:
        raise RuntimeError("a message without its HTTP request")
    return ctx.request


def _session_header(scope: Scope) -> str | None:
    return next(
        (value.decode("latin-1") for name, value in scope["headers"] if name == _SESSION_HEADER), None
    )


def _client_name(ctx: Context) -> str:
    """What tells clients without a session apart: where they are, and the name they give themselves."""
    params = ctx.session.client_params
    client = _request(ctx).client
    host = client.host if client else ""
    return f"client {host} {params.client_info.name if params else ''}"


@asynccontextmanager
async def running_endpoint(daemon: Daemon) -> AsyncIterator[Endpoint]:
    """The endpoint while the block runs; its sessions end with it."""
    logging.getLogger("mcp").setLevel(logging.WARNING)  # below, it tells the ids that open its sessions
    endpoint = Endpoint(daemon)
    try:
        async with endpoint.manager.run():
            yield endpoint
    finally:
        endpoint.guests.drop_all()
