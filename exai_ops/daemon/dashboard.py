"""The dashboard's routes: the page, its files, login and logout, a request's trace.

=========================  ======================================================================
``/dashboard``             the page; the login page to who has not shown the token
``/dashboard/login``       takes the token as a form, gives the cookie; so does a POST to ``/dashboard``,
                           by which a browser's form keeps the filters of the address
``/dashboard/logout``      ends the login
``/dashboard/session``     ``{"in": ...}``, by which an open page finds out why it was let go
``/dashboard/static/...``  scripts and styles; they hold nothing of the daemon
``/trace/REQUEST``         a request's spans
=========================  ======================================================================

The cookie is good for the page, ``/events`` and ``/trace``, which only show; not for MCP or the protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exai_ops.daemon import protocol
from exai_ops.daemon.core import Daemon
from exai_ops.daemon.guard import Scope, Send
from exai_ops.daemon.logins import LIFETIME_S, Logins, Tries
from exai_ops.daemon.traces import traces
from exai_ops.dashboard import assets
from exai_ops.dashboard.assets import Asset

PATH: Final = "/dashboard"
FORM_BYTES: Final = 8192
RECHECK_S: Final = 2.0
"""How long ``/events`` may go on for a login that has ended."""
_ENCODE: Final = msgspec.json.Encoder(enc_hook=str).encode
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self';"
    " frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # a filter may name a session; no-referrer would make Origin null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PRIVATE: Final = {**_HEADERS, "Cache-Control": "no-store"}
_STATIC: Final = {**_HEADERS, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
_SAID: Final = b'<p id="said" role="alert"></p>'


class Dashboard:
    """The page's side of the daemon; ``bearer`` tells whether a request shows the token in its header."""

    def __init__(self, daemon: Daemon, bearer: Callable[[Scope], bool]) -> None:
        self.logins = Logins()
        self.tries = Tries()
        self._daemon = daemon
        self._bearer = bearer
        self._assets: Mapping[str, Asset] | None = None

    def lets_in(self, scope: Scope) -> bool:
        """Whether a request, or a WebSocket's handshake, shows the token or a login's cookie."""
        return self._bearer(scope) or self._logged_in(scope)

    def _logged_in(self, scope: Scope) -> bool:
        return self.logins.valid(_cookie(scope), self._daemon.token)

    async def attend(self, scope: Scope, send: Send, serving: Awaitable[None]) -> None:
        """Serve a WebSocket that was let in; by a cookie, for as long as its login lives."""
        if self._bearer(scope):
            await serving
            return
        task = asyncio.ensure_future(serving)
        try:
            while not task.done() and self._logged_in(scope):
                await asyncio.wait({task}, timeout=RECHECK_S)
            if task.done():
                await task
                return
        finally:
            task.cancel()
            await asyncio.wait({task})
        try:
            await send(
                {
                    "type": "websocket.close",
                    "code": protocol.CLOSE_UNAUTHORIZED,
                    "reason": "the login has ended",
                }
            )
        except (OSError, RuntimeError):
            return  # it left at the same moment

    def routes(self) -> list[Route]:
        """What to serve."""
        return [
            Route(PATH, self._page),
            Route(PATH, self._login, methods=["POST"]),
            Route(f"{PATH}/login", self._login, methods=["POST"]),
            Route(f"{PATH}/logout", self._logout, methods=["POST"]),
            Route(f"{PATH}/session", self._session),
            Route(f"{PATH}/static/{{name:path}}", self._static),
            Route("/trace/{request:path}", self._trace),
        ]

    async def _page(self, request: Request) -> Response:
        files = await self._files()
        page = files[assets.PAGE if self.lets_in(request.scope) else assets.LOGIN]
        return Response(page.body, headers={**_PRIVATE, "Content-Type": page.media_type})

    async def _static(self, request: Request) -> Response:
        asset = (await self._files()).get(request.path_params["name"])
        if asset is None or asset.media_type.startswith("text/html"):
            return Response("no such file\n", 404, _PRIVATE, media_type="text/plain")
        headers = {**_STATIC, "ETag": asset.etag}
        if asset.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        headers["Content-Type"] = asset.media_type
        if asset.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(asset.compressed, headers={**headers, "Content-Encoding": "gzip"})
        return Response(asset.body, headers=headers)

    async def _files(self) -> Mapping[str, Asset]:
        if self._assets is None:
            self._assets = await asyncio.to_thread(assets.load)
        return self._assets

    async def _session(self, request: Request) -> Response:
        return _json({"in": self.lets_in(request.scope), "login": bool(self._daemon.token)})

    async def _login(self, request: Request) -> Response:
        if not _of_this_page(request):
            self._daemon.rejected("login from elsewhere")
            return await self._asked_again("This page may only be used from the daemon itself.", 403)
        address = request.client.host if request.client else ""
        wait_s = self.tries.wait_s(address)
        if wait_s > 0:
            self._daemon.rejected("too many logins")
            again = await self._asked_again(f"Too many wrong tokens. Try again in {wait_s:.0f} s.", 429)
            again.headers["Retry-After"] = f"{wait_s:.0f}"
            return again
        token = await _token(request)
        if token is None or not self._daemon.authorized(token):
            self.tries.failed(address)
            self._daemon.rejected("unauthorized")
            return await self._asked_again("That is not the token.", 401)
        answer = _back(request)
        if self._daemon.token:
            _give(answer, request, self.logins.open(self._daemon.token), LIFETIME_S)
        return answer

    async def _asked_again(self, why: str, status: int) -> Response:
        page = (await self._files())[assets.LOGIN]
        body = page.body.replace(_SAID, f'<p id="said" role="alert">{why}</p>'.encode())
        return Response(body, status, {**_PRIVATE, "Content-Type": page.media_type})

    async def _logout(self, request: Request) -> Response:
        answer = _back(request)
        if _of_this_page(request):
            self.logins.close(_cookie(request.scope))
            _give(answer, request, "", 0)
        return answer

    async def _trace(self, request: Request) -> Response:
        if not self.lets_in(request.scope):
            self._daemon.rejected("unauthorized")
            headers = {**_PRIVATE, "WWW-Authenticate": "Bearer"}
            return _json({"error": "the token or the dashboard's cookie is needed"}, 401, headers)
        wanted = request.path_params["request"], request.query_params.get("session", "")
        return _json(await asyncio.to_thread(self._traces, *wanted))

    def _traces(self, request: str, session: str) -> dict[str, Any]:
        return traces(self._daemon.monitor.recent(), request, session)


def _cookie_name(scope: Scope) -> str:
    """With the port that the browser sees: cookies are told apart by host alone, and daemons by port."""
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    port = host.rpartition("]")[2].rpartition(":")[2] if ":" in host.rpartition("]")[2] else ""
    return f"exai_dashboard_{port}" if port.isdigit() else "exai_dashboard"


def _cookie(scope: Scope) -> str | None:
    wanted = _cookie_name(scope)
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                morsel = SimpleCookie(value.decode("latin-1")).get(wanted)
            except CookieError:
                return None
            return None if morsel is None else morsel.value
    return None


def _give(answer: Response, request: Request, value: str, age_s: int) -> None:
    """Set the cookie. TLS may end at a proxy, so the page's own Origin says whether it is https."""
    answer.set_cookie(
        _cookie_name(request.scope),
        value,
        max_age=age_s,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.headers.get("origin", "").startswith("https://"),
    )


def _of_this_page(request: Request) -> bool:
    """Whether a form was sent by this daemon's own page, or by no browser at all.

    The guard lets in EXAI_ALLOWED_ORIGINS too, which may connect, but not log anybody in or out.
    """
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
        return False
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


async def _token(request: Request) -> str | None:
    """The token in a form, None where there is none."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_BYTES:
            return None
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=4)
    except ValueError:
        return None
    return fields.get("token", [""])[0].strip()


def _back(request: Request) -> Response:
    """To the page, with the filters that the URL had."""
    query = request.scope["query_string"].decode("latin-1")
    return Response(status_code=303, headers={**_PRIVATE, "Location": f"{PATH}?{query}" if query else PATH})


def _json(value: object, status: int = 200, headers: Mapping[str, str] = _PRIVATE) -> Response:
    return Response(_ENCODE(value), status, dict(headers), media_type="application/json")
