"""``/events``: a WebSocket that pushes events and states, as ``monitor.wire`` has them.

Its clients are no sessions: they hold no call, and the daemon ends without waiting for them. The monitor
records that they come and go, never what they are sent.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Final

import msgspec

import exai_ops
from exai_ops.daemon import protocol, state_frame
from exai_ops.daemon.event_backlog import Backlog
from exai_ops.daemon.event_chunks import events_frame, said
from exai_ops.daemon.guard import Receive, Scope, Send
from exai_ops.daemon.tails import STATE_S, Tail, Tails
from exai_ops.errors import UsageError
from exai_ops.logs import get_logger
from exai_ops.monitor.filters import Matcher, check_types, compiled
from exai_ops.monitor.wire import Problem, State, Subscribe, Subscribed

if TYPE_CHECKING:
    from exai_ops.daemon.core import Daemon

_LOG: Final = get_logger("exai.events")
PATH: Final = "/events"
MESSAGE_BYTES: Final = 256 * 1024
"""The largest message of a client; a filter needs far less."""
CLOSE_S: Final = 1.0
"""How long a client may take to take a close frame."""
_DECODE: Final = msgspec.json.Decoder(Subscribe).decode


class EventStream:
    """The endpoint."""

    def __init__(self, daemon: Daemon) -> None:
        self.tails = Tails(daemon.monitor, self._state)
        self._daemon = daemon
        self._clients: set[Client] = set()
        daemon.closers.append(self.close)

    def _state(self) -> State:
        return state_frame.state(self._daemon, tails=len(self.tails), dropped=self.tails.dropped)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A connection from its handshake to its end."""
        await receive()
        await send({"type": "websocket.accept"})
        client = Client(self._daemon, self.tails, scope, receive, send)
        refusal = self._refusal()
        if refusal is not None:
            self._daemon.rejected("too many tails" if refusal[0] == protocol.CLOSE_POLICY else "draining")
            await client.close(*refusal)
            return
        self._clients.add(client)
        try:
            with self._daemon.monitor.connection("websocket", script_name="daemon", function_name="events"):
                await client.converse()
        finally:
            self._clients.discard(client)

    def _refusal(self) -> tuple[int, str] | None:
        if self._daemon.state == "draining":
            return protocol.CLOSE_RESTARTING, "the daemon is stopping"
        if len(self._clients) >= self._daemon.settings.monitor_max_tails:
            return protocol.CLOSE_POLICY, "too many tails: EXAI_MONITOR_MAX_TAILS is the limit"
        return None

    async def close(self) -> None:
        """Send what is left to send, then close every client with 1012."""
        self.tails.take()
        await asyncio.sleep(0)
        closing = [
            client.close(protocol.CLOSE_RESTARTING, "the daemon is stopping") for client in self._clients
        ]
        await asyncio.gather(*closing)


class Client:
    """One connection."""

    def __init__(self, daemon: Daemon, tails: Tails, scope: Scope, receive: Receive, send: Send) -> None:
        self._daemon = daemon
        self._tails = tails
        self._wire = scope["extensions"]["exai.websocket"]
        self._receive = receive
        self._send = send
        self._closed = False
        self._accepted = False

    async def converse(self) -> None:
        """Until it leaves. Its first message must come within EXAI_WS_HELLO_TIMEOUT."""
        tail = self._tails.join(self._wire)
        try:
            async with asyncio.timeout(self._daemon.settings.ws_hello_timeout_s):
                message = await self._next()
            while message is not None:
                await self._handle(tail, message)
                message = await self._next()
        except TimeoutError:
            await self.close(protocol.CLOSE_HELLO_LATE, "no subscribe in time")
        except (OSError, RuntimeError):  # how uvicorn says that the client left
            return
        finally:
            self._tails.leave(tail)

    async def _next(self) -> str | bytes | None:
        """The next message; None once the client is gone."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self._closed = True
            return None
        text = message.get("text")
        return text if text is not None else bytes(message.get("bytes") or b"")

    async def _handle(self, tail: Tail, message: str | bytes) -> None:
        try:
            wanted = read(message)
            matcher = compiled(wanted.filter)
            if wanted.stream is None:  # else it goes on with a filter that was taken before
                check_types(wanted.filter.types, self._daemon.monitor.stats())
        except UsageError as error:
            hint = f" ({error.hint})" if error.hint else ""
            await tail.send(said(Problem(message=f"{error.message}{hint}")))
            return
        again, self._accepted = self._accepted, True
        position = tail.position if again else self._tails.take()
        tail.live = False
        tail.do(self._serve(tail, wanted, matcher, position))

    async def _serve(self, tail: Tail, wanted: Subscribe, matcher: Matcher, position: int) -> None:
        """Answer a subscription, send what comes first, and go live."""
        daemon = self._daemon
        answer = Subscribed(
            stream=daemon.id,
            sequence=daemon.monitor.sequence,
            time=time.time(),
            version=exai_ops.__version__,
        )
        await tail.send(said(answer))
        self._tails.want_state(tail, max(wanted.state_every_s, STATE_S) if wanted.state_every_s else 0.0)
        if not wanted.events:
            return
        backlog = Backlog(daemon.monitor, daemon.id, daemon.started_at, daemon.kept)
        tail.position = position
        async for frame in backlog.frames(wanted, matcher, position):
            await tail.send(frame)
            tail.position = backlog.position
        if wanted.since is not None or wanted.last:
            await tail.send(events_frame(backlog.position, ()))
        tail.filter, tail.matcher, tail.position = wanted.filter, matcher, backlog.position
        self._tails.go_live(tail)

    async def close(self, code: int, reason: str) -> None:
        """Close with a code, or drop who takes nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except TimeoutError:
            self._wire.abort()
        except (OSError, RuntimeError):
            _LOG.debug("close not sent", code=code)


def read(message: str | bytes) -> Subscribe:
    """A client's message. Raises UsageError that says what is wrong with it."""
    if len(message) > MESSAGE_BYTES:
        raise UsageError(f"the message is larger than {MESSAGE_BYTES} bytes")
    try:
        wanted = _DECODE(message)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise UsageError(f"no subscribe message: {error}") from error
    numbers = {"after": wanted.after or 0, "last": wanted.last, "state_every_s": wanted.state_every_s}
    for name, number in numbers.items():
        if number < 0:
            raise UsageError(f"{name}: is below 0")
    if wanted.since is not None and not math.isfinite(wanted.since):
        raise UsageError("since: is no time")
    return wanted
