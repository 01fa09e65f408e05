"""One call of a tool, and who watches it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import msgspec

from exai_ops.daemon import protocol
from exai_ops.daemon.permits import Entry, Owner

if TYPE_CHECKING:
    from exai_ops.tools.api import Tool

ID_SHOWN: Final = 128
"""Characters of a client's request_id that events repeat."""

_CANONICAL: Final = msgspec.json.Encoder(order="sorted")


class Sink(Protocol):
    """Where a call's frames go: a WebSocket connection, an MCP request."""

    async def send(self, frame: str) -> None:
        """Take a frame. Never raises because the other side left."""

    def hold(self, frame: str) -> None:
        """Take a frame that may wait for the next one; ``flush`` sends it if none comes."""

    async def flush(self) -> None:
        """Send what is held."""


class _Watcher:
    """Who is sent a call's frames; while it is not ``ready`` it is sent those before it came."""

    __slots__ = ("next_seq", "ready", "sink", "stream")

    def __init__(self, sink: Sink, *, stream: bool, ready: bool) -> None:
        self.sink = sink
        self.stream = stream
        self.ready = ready
        self.next_seq = 0


class Call(Owner):
    """A call from its arrival to its result.

    Attributes:
        digest: Fingerprint of tool and arguments.
        detach: Whether it outlives its connection.
        streaming: Whether the provider is asked for a stream; decided by the first client.
        cancel_code: Why it was cancelled, as an error code; None while nobody cancelled it.
        asked_before: Whether the store may keep a result under its id, and is asked first.
        replayed: Whether that gave its result.
        code: The error code of its result, None for a good one or none yet.
        stage: ``new`` until its task runs, ``running``, then ``ending`` once its outcome stands.
        writes: What its tool wrote to the store without waiting for it.
        origin: Session, request and tool, by which the events of a call are joined.
        journal_ms: How long the store took to journal it, None before.
        started_at: Monotonic seconds; ``accepted_at`` is seconds since the epoch, None before the ack.
    """

    __slots__ = (
        "accepted_at",
        "arguments",
        "asked_before",
        "cancel_code",
        "cancel_message",
        "code",
        "deltas",
        "detach",
        "digest",
        "entry",
        "handler",
        "journal_ms",
        "origin",
        "replayed",
        "result",
        "stage",
        "started_at",
        "streaming",
        "task",
        "timeout_s",
        "waiting_for_result",
        "watchers",
        "writes",
    )

    def __init__(
        self,
        session_id: str,
        message: protocol.CallTool,
        handler: Tool,
        *,
        digest: str,
        started_at: float,
        timeout_s: float,
        size_bytes: int = 0,
    ) -> None:
        super().__init__(session_id, message.request_id, handler.name, size_bytes=size_bytes)
        self.handler = handler
        self.origin: Mapping[str, str] = {
            "session": session_id,
            "request": message.request_id[:ID_SHOWN],
            "tool": handler.name,
        }
        self.journal_ms: float | None = None
        self.arguments: dict[str, Any] = message.arguments or {}
        self.digest = digest
        self.detach = message.detach
        self.streaming = message.stream
        self.started_at = started_at
        self.timeout_s = timeout_s
        self.accepted_at: float | None = None
        self.cancel_code: str | None = None
        self.cancel_message = ""
        self.code: str | None = None
        self.asked_before = False
        self.replayed = False
        self.stage: Literal["new", "running", "ending"] = "new"
        self.writes: Sequence[Awaitable[None]] = ()
        self.deltas: list[str] = []
        self.entry: Entry | None = None
        self.result: str | None = None
        self.task: asyncio.Task[None] | None = None
        self.watchers: list[_Watcher] = []
        self.waiting_for_result: list[asyncio.Future[str]] = []

    def watch(self, sink: Sink, *, stream: bool) -> None:
        """Let a sink have the frames from now on; ``attach`` gives it those before as well."""
        self.watchers.append(_Watcher(sink, stream=stream, ready=True))

    async def attach(self, sink: Sink, *, stream: bool, now: float) -> None:
        """Let a sink have all frames: where the call stands, the pieces so far, and what comes.

        A sink that watches already is told where the call stands; it gets no piece a second time.
        """
        watcher = next((w for w in self.watchers if w.sink is sink), None)
        known = watcher is not None
        if watcher is None:
            watcher = _Watcher(sink, stream=stream, ready=False)
            self.watchers.append(watcher)
        watcher.stream = watcher.stream or stream
        await sink.send(protocol.progress(self.request_id, self.tool, now, "attached to the running call"))
        if not known:
            await self._bring_up(watcher)
        elif watcher.ready and self.result is None:
            if self.accepted_at is not None:
                await sink.send(protocol.call_ack(self.request_id, self.tool, self.timeout_s))
            await self._catch_up(watcher)

    async def _bring_up(self, watcher: _Watcher) -> None:
        """Send what was before the watcher came, up to the moment in which nothing is left to send.

        What comes meanwhile waits its turn here, so that a slow client, too, gets all in order.
        """
        acked = False
        while True:
            if self.accepted_at is not None and not acked:
                acked = True
                await watcher.sink.send(protocol.call_ack(self.request_id, self.tool, self.timeout_s))
            elif watcher.stream and watcher.next_seq < len(self.deltas):
                await self._catch_up(watcher)
            else:
                break
        if self.result is None:
            watcher.ready = True
        else:
            await watcher.sink.send(self.result)

    def unwatch(self, sink: Sink) -> None:
        """Give a sink no more frames."""
        self.watchers = [w for w in self.watchers if w.sink is not sink]

    async def publish(self, frame: str) -> None:
        """Send a frame to all who watch."""
        for watcher in self.watchers:
            if watcher.ready:
                await watcher.sink.send(frame)

    def announce(self, frame: str) -> None:
        """Give all who watch a frame that the next one, within a moment, takes along."""
        for watcher in self.watchers:
            if watcher.ready:
                watcher.sink.hold(frame)

    async def flush(self) -> None:
        """Nothing follows for now: send what was announced."""
        for watcher in self.watchers:
            await watcher.sink.flush()

    async def delta(self, text: str) -> None:
        """A piece of the streamed answer, to all who asked for the stream."""
        self.deltas.append(text)
        for watcher in self.watchers:
            if watcher.ready:
                await self._catch_up(watcher)

    async def _catch_up(self, watcher: _Watcher) -> None:
        while watcher.stream and watcher.next_seq < len(self.deltas):
            seq = watcher.next_seq
            watcher.next_seq += 1
            await watcher.sink.send(protocol.stream_delta(self.request_id, seq, self.deltas[seq]))

    def cancel(self, code: str, message: str) -> bool:
        """Ask the call to end with this code; False when its outcome stands already.

        A task that has not begun is not cancelled, because its cleaning up would not run: it looks
        at ``cancel_code`` when it begins.
        """
        if self.stage == "ending" or self.task is None:
            return False
        if self.cancel_code is None:
            self.cancel_code, self.cancel_message = code, message
        if self.stage == "running":
            self.task.cancel()
        return True

    def end(self, frame: str) -> None:
        """The result is known: keep it for those who wait for it."""
        self.result = frame
        for waiter in self.waiting_for_result:
            if not waiter.done():
                waiter.set_result(frame)
        self.waiting_for_result.clear()

    async def wait(self) -> str:
        """The result frame, once there is one. Cancelling the wait leaves the call alone."""
        if self.result is not None:
            return self.result
        waiter: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.waiting_for_result.append(waiter)
        return await waiter


def digest(tool: str, arguments: Mapping[str, Any] | None) -> tuple[str, int]:
    """Fingerprint of a tool and its arguments, whatever the order of their keys; and their size in bytes."""
    encoded = _CANONICAL.encode((tool, arguments or {}))
    return hashlib.blake2b(encoded, digest_size=16).hexdigest(), len(encoded)
