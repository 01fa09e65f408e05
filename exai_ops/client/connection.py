"""One connection to the daemon: hello, questions, calls.

Frames are dictionaries as PROTOCOL has them. A connection is used by one task at a time; every method may be
cancelled, and the connection is still good afterwards. Whoever leaves ``connect`` leaves the session's
running calls to be cancelled by the daemon, unless they were detached.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from exai_ops.client.shape import tools_in
from exai_ops.client.target import Target
from exai_ops.errors import CouldNotLook, ExaiError, SettingsError
from exai_ops.settings import Secret

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

Frame: TypeAlias = dict[str, Any]

OPEN_S: Final = 5.0
"""How long connecting and hello may take, and any question that the daemon answers by itself."""
_CLOSE_S: Final = 1.0
_MAX_BYTES: Final = (
    256 * 1024 * 1024
)  # a result may hold more than a request; what is sent is the daemon's to limit


class NotReachable(CouldNotLook):
    """Nothing that speaks the protocol answers at the address."""


class ConnectionLost(CouldNotLook):
    """The connection ended before the answer."""


class Connection:
    """An open session.

    Attributes:
        url: Where it leads.
        session_id: As the daemon gave it.
        resume: The secret that takes the session up again; empty when the daemon does not offer that.
    """

    def __init__(self, socket: ClientConnection, target: Target) -> None:
        self._socket = socket
        self._target = target
        self.url = target.url
        self.session_id = ""
        self.resume = Secret()

    async def hello(self, session_id: str = "", resume: Secret | None = None) -> None:
        """Open a session, or take one up again. Raises SettingsError for a refused token, NotReachable."""
        message: Frame = {"op": "hello", "session_id": session_id, "token": self._target.token.reveal()}
        message["features"] = ["stream", "resume"]
        if resume:
            message["resume"] = resume.reveal()
        ack = await self._ask(message, "hello_ack")
        if not ack.get("ok"):
            raise _refused(self._target, str(ack.get("error", "")), str(ack.get("message", "")))
        self.session_id = str(ack.get("session_id", ""))
        self.resume = Secret(str(ack.get("resume") or ""))

    async def tools(self) -> list[Frame]:
        """The tools: ``name``, ``description``, ``inputSchema``. Raises NotReachable for what are none."""
        answer = await self._ask({"op": "list_tools"}, "list_tools_res")
        listed = tools_in(answer)
        if listed is None:
            raise _foreign(self._target, "its list of tools is not in the protocol's form")
        return listed

    async def start(
        self, request_id: str, name: str, arguments: Mapping[str, Any], *, stream: bool, detach: bool = False
    ) -> None:
        """Call a tool; ``frames`` yields what comes of it."""
        message: Frame = {
            "op": "call_tool",
            "request_id": request_id,
            "name": name,
            "arguments": dict(arguments),
        }
        await self.send(message | ({"stream": True} if stream else {}) | ({"detach": True} if detach else {}))

    async def cancel(self, request_id: str) -> None:
        """Ask for a call's end; its last frame then says CANCELLED."""
        await self.send({"op": "cancel", "request_id": request_id})

    async def fetch(self, request_id: str) -> None:
        """Ask for what is known of a call; ``frames`` yields it."""
        await self.send({"op": "result", "request_id": request_id})

    async def frames(self, request_id: str) -> AsyncIterator[Frame]:
        """The frames of one call, the last one included; those of other calls are dropped.

        An error without a request_id is taken for this call's: old daemons send such, and nothing after it.
        """
        while True:
            frame = await self.receive()
            if frame.get("request_id", request_id if frame.get("op") == "error" else None) != request_id:
                continue
            yield frame
            if frame.get("op") in ("call_tool_res", "error"):
                return

    async def send(self, message: Frame) -> None:
        """Send one message. Raises ConnectionLost, or NotReachable as ``receive`` does."""
        from websockets.exceptions import ConnectionClosed

        try:
            await self._socket.send(json.dumps(message, ensure_ascii=False, allow_nan=False))
        except ConnectionClosed as closed:
            raise lost(self._target, closed) from closed

    async def receive(self) -> Frame:
        """The next frame. Raises ConnectionLost, or NotReachable for what is no frame."""
        from websockets.exceptions import ConnectionClosed

        try:
            frame = json.loads(await self._socket.recv())
        except ConnectionClosed as closed:
            raise lost(self._target, closed) from closed
        except (ValueError, RecursionError):
            frame = None
        if not isinstance(frame, dict):
            raise _foreign(self._target, "it sent a frame that is no JSON object")
        return frame

    async def _ask(self, message: Frame, answer: str) -> Frame:
        try:
            async with asyncio.timeout(OPEN_S):
                await self.send(message)
                while (frame := await self.receive()).get("op") != answer:
                    pass
                return frame
        except TimeoutError:
            what = f"the daemon at {self._target.url} did not answer {message['op']} within {OPEN_S:g} s"
            raise NotReachable(what, hint="exai status says what it is doing") from None


@asynccontextmanager
async def connect(
    target: Target, *, session_id: str = "", resume: Secret | None = None
) -> AsyncIterator[Connection]:
    """An open session with the daemon, closed on the way out. Raises NotReachable, SettingsError."""
    socket = await dial(target, target.url)
    try:
        connection = Connection(socket, target)
        await connection.hello(session_id, resume)
        yield connection
    finally:
        await socket.close()


async def dial(target: Target, url: str, *, bearer: bool = False) -> ClientConnection:
    """A WebSocket at one of the daemon's addresses, with ``bearer`` shown its token.

    Raises NotReachable, and SettingsError for a token that is refused there.
    """
    from websockets.asyncio.client import connect as dialer
    from websockets.exceptions import InvalidHandshake, InvalidStatus

    class Dial(dialer):
        """Goes where it was sent: the token is not for whom another server names in a redirect."""

        def process_redirect(self, exc: Exception) -> Exception | str:
            return exc

    try:
        return await Dial(
            url,
            additional_headers={"Authorization": f"Bearer {target.token.reveal()}"} if bearer else None,
            proxy=None,  # a daemon is dialled directly: a proxy for the web would not find this machine
            compression=None,
            open_timeout=OPEN_S,
            close_timeout=_CLOSE_S,
            max_size=_MAX_BYTES,
        )
    except InvalidStatus as error:
        raise _no_websocket(target, url, error.response.status_code, error.response.body) from error
    except (InvalidHandshake, EOFError) as error:
        raise NotReachable(f"what answers at {url} is not a WebSocket server") from error
    except TimeoutError as error:
        what = f"{url} did not answer within {OPEN_S:g} s"
        raise NotReachable(what, hint="exai status tells whether a daemon is there and blocked") from error
    except OSError as error:
        raise _absent(target, _reason(error)) from error


def _no_websocket(target: Target, url: str, status: int, body: bytes | bytearray | None) -> ExaiError:
    said = bytes(body or b"").decode(errors="replace").strip()
    if status == 401 and "EXAI_WS_TOKEN" in said:
        return token_refused(target)
    if status == 403 and "EXAI_ALLOWED" in said:
        return NotReachable(f"{url} answered 403: {said[:200]}", hint="name it as it is served")
    what = f"{url} answered HTTP {status} instead of opening a WebSocket"
    return NotReachable(what, hint="is another program on that port? exai status tells")


def _reason(error: OSError) -> str:
    """In few words: asyncio joins the errors of all addresses into one text."""
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return "connection refused"
    return error.strerror or type(error).__name__


def _foreign(target: Target, why: str) -> NotReachable:
    what = f"what answers at {target.url} does not speak exai's protocol: {why}"
    return NotReachable(what, hint="is another program on that port? exai status tells")


def _absent(target: Target, reason: str) -> NotReachable:
    return NotReachable(f"no daemon at {target.url}: {reason}", hint="start one with: exai serve")


def _refused(target: Target, error: str, message: str) -> ExaiError:
    """Why hello was not let in; the daemon's own message tells a lost session from a wrong token."""
    if error == "unauthorized" and message:
        said = [f"the daemon at {target.url} does not take this session up again: {message[:200]}"]
        return SettingsError(said, hint="it has expired, or belongs to another daemon; call the tool anew")
    if error == "unauthorized":
        return token_refused(target)
    return NotReachable(f"the daemon at {target.url} refused hello: {error[:100] or 'without a reason'}")


def token_refused(target: Target) -> SettingsError:
    """The token is not the daemon's."""
    said = [f"EXAI_WS_TOKEN: the daemon at {target.url} does not accept it"]
    return SettingsError(said, hint="set it to the token that the daemon was started with")


def lost(target: Target, closed: Any) -> CouldNotLook:
    received, sent = closed.rcvd, closed.sent
    if received is None and sent is not None and sent.code in _UNREADABLE:
        return _foreign(target, _UNREADABLE[sent.code])
    if received is None:
        return ConnectionLost(f"the connection to {target.url} was lost before the answer")
    reason = f" {received.reason}" if received.reason else ""
    what = f"the daemon at {target.url} closed the connection: {received.code}{reason}"
    return ConnectionLost(what, hint=_HINTS.get(received.code))


_UNREADABLE: Final = {
    1002: "it sent what is no WebSocket frame",
    1007: "it sent a frame that is not UTF-8",
    1009: "it sent a frame that is larger than any result",
}
"""Why this side ended a connection."""
_HINTS: Final = {
    1008: "EXAI_WS_MAX_CONNECTIONS is the daemon's limit; exai status shows its connections",
    1009: "the arguments are larger than EXAI_WS_MAX_BYTES",
    1012: "it is restarting; call again in a moment",
    4004: "another client took the session up",
}
