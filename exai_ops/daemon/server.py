"""uvicorn, with what it lacks here: a deadline for the header, a limit on connections, our signals.

uvicorn closes every socket with 1012 at the first SIGTERM and so loses accepted work; ``Server`` leaves
the signals to the life cycle, which drains first and then sets ``should_exit``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from exai_ops.daemon.guard import App
from exai_ops.settings import Settings

SPARE_CONNECTIONS = 64
"""Beyond the limit of WebSocket connections: for health, metrics, and to say 1008 to one too many."""
UNREAD_MESSAGES = 4
"""Messages of one connection that may wait before its reading is paused."""
MAX_HEADER_BYTES = 64 * 1024
"""Of a request's line and header, beyond what one read of the socket brings; the parser has no limit."""
BODY_DEADLINES = 3
"""How many times as long as its header a request's body may take."""

LINGER_S = 2.0
"""How long a client that broke the protocol may take to hear why."""


class HttpProtocol(HttpToolsProtocol):
    """HTTP with deadlines for each request's header and body, and limits on headers and open sockets."""

    header_timeout_s: ClassVar[float] = 10.0
    max_sockets: ClassVar[int] = 1000

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._header_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        if len(self.connections) > self.max_sockets:
            transport.abort()
        else:
            self._await_header()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; it keeps a header of any size in memory, so here its size is watched."""
        timer = self._header_timer
        super().data_received(data)
        if timer is not None and timer is self._header_timer:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
                self.send_400_response("Request header too large.")

    def _await_header(self) -> None:
        self._header_bytes = 0
        self._header_timer = self.loop.call_later(self.header_timeout_s, self._too_late)

    def _too_late(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()

    def on_message_begin(self) -> None:
        """The next request of a kept connection has begun: its header has a deadline, too."""
        super().on_message_begin()
        if self._header_timer is None:
            self._await_header()

    def on_headers_complete(self) -> None:
        self._stop_timers()
        super().on_headers_complete()
        self._body_timer = self.loop.call_later(BODY_DEADLINES * self.header_timeout_s, self._too_late)

    def on_message_complete(self) -> None:
        self._stop_timers()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection on; what the WebSocket's parser does not take it would keep, unanswered."""
        self._stop_timers()
        if self.cycle is not None and not self.cycle.response_complete:
            self.send_400_response("An upgrade must wait for the answer before it.")
            return
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        if isinstance(protocol, WebSocketProtocol) and not protocol.handshake_initiated:
            self.send_400_response("Invalid WebSocket handshake.")

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timers()
        super().connection_lost(exc)

    def _stop_timers(self) -> None:
        for timer in (self._header_timer, self._body_timer):
            if timer is not None:
                timer.cancel()
        self._header_timer = self._body_timer = None


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket that writes several frames at once, and may be aborted.

    Measured: a write to the socket costs more than making the frame, and so does pausing and resuming
    the reading for each message, which uvicorn does; here only a backlog of messages pauses it.
    """

    async def run_asgi(self) -> None:
        """Offer this protocol to the application, as ``extensions["exai.websocket"]``."""
        self.scope.setdefault("extensions", {})["exai.websocket"] = self  # type: ignore[assignment]
        await super().run_asgi()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # refused in words; uvicorn would log an error over it

    def write_texts(self, texts: Iterable[str]) -> bool:
        """Write text frames at once; False when the other side takes no more for now, or is gone."""
        if self.conn.state is not State.OPEN or self.transport.is_closing() or not self.writable.is_set():
            return False  # also between a client's close frame and the end of the connection
        for text in texts:
            self.conn.send_text(text.encode())
        self.transport.write(b"".join(self.conn.data_to_send()))
        return True

    def write_raw(self, frames: bytes) -> bool:
        """Write frames that are framed already, as above; nothing may be in the middle of a message."""
        if self.conn.state is not State.OPEN or self.transport.is_closing() or not self.writable.is_set():
            return False
        self.transport.write(frames)
        return True

    async def wait_writable(self) -> bool:
        """Wait until the other side takes more; False once it is gone."""
        await self.writable.wait()
        return self.conn.state is State.OPEN and not self.transport.is_closing()

    def abort(self) -> None:
        """Drop the connection at once."""
        self.transport.abort()

    def handle_ping(self) -> None:
        """Answer, unless the other side reads nothing: its pongs would pile up here."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)

    def send_receive_event_to_app(self) -> None:
        """Queue a message; the reading goes on while few are queued."""
        data = b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "text":
            try:
                self.queue.put_nowait({"type": "websocket.receive", "text": data.decode()})
            except UnicodeDecodeError:  # RFC 6455 section 8.1; no error of ours, so not in the log as one
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        else:
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
        if not self.read_paused and self.queue.qsize() > UNREAD_MESSAGES:
            self.read_paused = True
            self.transport.pause_reading()

    def handle_parser_exception(self) -> None:
        """Close with the code that the parser chose, and read on for a moment.

        A socket that is closed over unread bytes is reset, and the reset may overtake the code.
        """
        closing = self.conn.close_sent
        if self.close_sent or closing is None:
            return
        self.close_sent = True
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": closing.code, "reason": closing.reason}
        )
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.close_timer = self.loop.call_later(LINGER_S, self.transport.close)


class Server(uvicorn.Server):
    """uvicorn's server, told by the life cycle when to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def server(app: App, settings: Settings) -> Server:
    """A server of the application, with the limits of the settings."""
    http = type(
        "HttpProtocol",
        (HttpProtocol,),
        {
            "header_timeout_s": settings.header_timeout_s,
            "max_sockets": settings.max_connections + settings.monitor_max_tails + SPARE_CONNECTIONS,
        },
    )
    return Server(
        uvicorn.Config(
            app,
            http=http,
            ws=WebSocketProtocol,
            loop="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            access_log=False,
            server_header=False,
            ws_max_size=settings.ws_max_bytes,
            ws_ping_interval=settings.ws_ping_interval_s,
            ws_ping_timeout=settings.ws_ping_timeout_s,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=2,
            backlog=2048,
        )
    )
