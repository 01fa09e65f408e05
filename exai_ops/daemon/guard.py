"""One guard in front of HTTP and WebSocket alike: who may name this host, from which pages.

A browser sends ``Origin`` and cannot forge it, so a page from elsewhere is refused. A name that a
foreign DNS points at this machine (rebinding) shows in ``Host``, so only known names are served; an
address in digits cannot be rebound and is always served.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOCAL: Final = frozenset({"localhost", "localhost.localdomain"})


class Guard:
    """Which Host and Origin headers are let in."""

    def __init__(self, *, hosts: Iterable[str], origins: Iterable[str]) -> None:
        self._hosts = _LOCAL | {socket.gethostname().lower()} | {host.lower() for host in hosts}
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def refusal(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Why a request with these headers is not let in, or None."""
        hosts, origins = [], []
        for name, value in headers:
            if name == b"host":
                hosts.append(value.decode("latin-1").lower())
            elif name == b"origin":
                origins.append(value.decode("latin-1").lower())
        if len(hosts) != 1 or len(origins) > 1:
            return "exactly one Host header, at most one Origin header"
        return self._host_refusal(hosts[0]) or self._origin_refusal(hosts[0], origins)

    def _host_refusal(self, host: str) -> str | None:
        name = _host_name(host)
        if "*" in self._hosts or name in self._hosts or _is_address(name):
            return None
        return "this Host is not served; name it in EXAI_ALLOWED_HOSTS"

    def _origin_refusal(self, host: str, origins: list[str]) -> str | None:
        if not origins or origins[0] in self._origins:
            return None
        if origins[0] in (f"http://{host}", f"https://{host}"):
            return None
        return "this Origin is not let in; name it in EXAI_ALLOWED_ORIGINS"


def _host_name(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def refuse(scope: Scope, send: Send, status: int, text: str) -> None:
    """Answer a request, or a WebSocket's handshake, with a status and a line of text."""
    prefix = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    body = text.encode() + b"\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{prefix}.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": body})
