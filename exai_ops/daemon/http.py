"""The daemon's HTTP side, and the one application that serves HTTP and WebSocket on one port.

=================  ==========================================================================
``/``, ``/ws``     the WebSocket; to a browser, in plain text, what is here
``/health``        whole, each dependency looked at; 503 unless ``ok`` or ``degraded``
``/health/live``   200 while the event loop turns
``/health/ready``  503 while starting, draining or without a usable provider, with the reason
``/metrics``       Prometheus
``/permits``       the ledger, with holders
``/mcp``           MCP over streamable HTTP
``/events``        the WebSocket that pushes events and state to ``exai monitor`` and the page
``/dashboard``     the page; ``/trace``: a request's spans; see ``daemon.dashboard``
=================  ==========================================================================

With a token set, all but live, ready, the text and the page's own login and files want ``Authorization:
Bearer <token>``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exai_ops.daemon.connection import serve_websocket
from exai_ops.daemon.core import Daemon
from exai_ops.daemon.dashboard import Dashboard
from exai_ops.daemon.event_stream import PATH as EVENTS_PATH
from exai_ops.daemon.event_stream import EventStream
from exai_ops.daemon.guard import App, Guard, Receive, Scope, Send, refuse
from exai_ops.daemon.health import health

_ENCODE: Final = msgspec.json.Encoder(enc_hook=str).encode
_PATHS: Final = frozenset({"/", "/ws"})
_POINTERS: Final = """\
exai: a daemon that serves AI tools to editors, agents and scripts. At this address:

/, /ws          the WebSocket protocol (docs/protocol.md)
/mcp            MCP over streamable HTTP (docs/mcp.md)
/health         the whole account
/health/live    alive
/health/ready   serving, or why not
/metrics        Prometheus
/permits        who holds capacity
/status         all that is known from memory
/events         the WebSocket of exai monitor: events and state, pushed
/dashboard      the page, to look at all of it (docs/dashboard.md)

With EXAI_WS_TOKEN set, WebSocket clients say it in their hello, and the others send
Authorization: Bearer; live and ready want none.
"""
_BEARER_NEEDED: Final = "Authorization: Bearer <EXAI_WS_TOKEN> is needed"
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def application(daemon: Daemon, mcp: App) -> App:
    """The ASGI application: the guard, then WebSocket, MCP or HTTP."""
    settings = daemon.settings
    guard = Guard(hosts=[settings.ws_host, *settings.allowed_hosts], origins=settings.allowed_origins)
    dashboard = Dashboard(daemon, bearer=lambda scope: authorized_scope(daemon, scope))
    http = Starlette(routes=[*_routes(daemon), *dashboard.routes()])
    stream = EventStream(daemon)

    async def events(scope: Scope, receive: Receive, send: Send) -> None:
        if dashboard.lets_in(scope):
            await dashboard.attend(scope, send, stream.serve(scope, receive, send))
        else:
            daemon.rejected("unauthorized")
            await refuse(scope, send, 401, _BEARER_NEEDED)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = guard.refusal(scope["headers"])
        if refusal is not None:
            daemon.rejected("host or origin")
            await refuse(scope, send, 403, refusal)
        elif scope["type"] == "websocket":
            await _websocket(daemon, events, scope, receive, send)
        elif scope["path"] == "/mcp":
            await _mcp(daemon, mcp, scope, receive, send)
        else:
            await http(scope, receive, send)

    return app


async def _websocket(daemon: Daemon, events: App, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] in _PATHS:
        await serve_websocket(daemon, scope, receive, send)
    elif scope["path"] != EVENTS_PATH:
        await refuse(scope, send, 404, "the WebSocket is at / and /ws, that of exai monitor at /events")
    else:
        await events(scope, receive, send)


async def _mcp(daemon: Daemon, mcp: App, scope: Scope, receive: Receive, send: Send) -> None:
    if authorized_scope(daemon, scope):
        await mcp(scope, receive, send)
    else:
        daemon.rejected("unauthorized")
        await refuse(scope, send, 401, _BEARER_NEEDED)


def authorized_scope(daemon: Daemon, scope: Scope) -> bool:
    """Whether a request, or a WebSocket's handshake, shows the token; anything does when there is none."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return scheme.lower() == "bearer" and daemon.authorized(token.strip())
    return daemon.authorized(None)


def _routes(daemon: Daemon) -> list[Route]:
    async def pointers(_request: Request) -> Response:
        return Response(_POINTERS, media_type="text/plain")

    async def whole(_request: Request) -> Response:
        account = await health(daemon)
        return _json(account, 200 if account["status"] in ("ok", "degraded") else 503)

    async def live(_request: Request) -> Response:
        return _json({"status": "live", "state": daemon.state})

    async def ready(_request: Request) -> Response:
        why = daemon.unready()
        return _json({"ready": why is None, "reason": why}, 200 if why is None else 503)

    async def metrics(_request: Request) -> Response:
        return Response(daemon.metrics.exposition(), media_type=_METRICS_TYPE)

    async def permits(_request: Request) -> Response:
        return _json(daemon.permits())

    async def status(_request: Request) -> Response:
        return _json(daemon.status())

    async def upgrade(_request: Request) -> Response:
        return Response(
            "a WebSocket is here\n",
            426,
            {"Upgrade": "websocket", "Connection": "Upgrade"},
            media_type="text/plain",
        )

    return [
        *(Route(path, pointers) for path in sorted(_PATHS)),
        Route(EVENTS_PATH, upgrade),
        Route("/health/live", live),
        Route("/health/ready", ready),
        Route("/health", _private(daemon, whole)),
        Route("/metrics", _private(daemon, metrics)),
        Route("/permits", _private(daemon, permits)),
        Route("/status", _private(daemon, status)),
    ]


Handler = Callable[[Request], Awaitable[Response]]


def _private(daemon: Daemon, handler: Handler) -> Handler:
    """Only for who has the token, when there is one."""

    async def checked(request: Request) -> Response:
        if authorized_scope(daemon, request.scope):
            return await handler(request)
        daemon.rejected("unauthorized")
        headers = {"WWW-Authenticate": "Bearer"}
        return _json({"error": _BEARER_NEEDED}, 401, headers)

    return checked


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(_ENCODE(value), status, headers, media_type="application/json")
