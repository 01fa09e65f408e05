"""The daemon's ``/events`` without end: taken up again after a lost connection or the daemon's restart."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncGenerator
from typing import Final, TypeAlias

import msgspec

from exai_ops.client.connection import OPEN_S, NotReachable
from exai_ops.client.events import EventSocket, connect_events
from exai_ops.client.target import Target
from exai_ops.errors import CouldNotLook, UsageError
from exai_ops.monitor.wire import Dropped, Gap, Problem, State, Subscribe, Subscribed

FIRST_PAUSE_S: Final = 0.1
LAST_PAUSE_S: Final = 2.0


class RawEvents(msgspec.Struct, tag="events", tag_field="op"):
    """``wire.Events`` with each event as it came."""

    sequence: int
    events: list[msgspec.Raw]


class Lost(msgspec.Struct):
    """The connection is lost, and tried again; the next ``Subscribed`` says that it is back."""

    why: str


FeedFrame: TypeAlias = Subscribed | RawEvents | Dropped | Gap | State | Problem | Lost

_DECODE: Final = msgspec.json.Decoder(Subscribed | RawEvents | Dropped | Gap | State | Problem).decode
_ENCODE: Final = msgspec.json.Encoder().encode


class _Any(msgspec.Struct):
    op: str


class _Timed(msgspec.Struct):
    timestamp: float


class Feed:
    """Frames of one subscription.

    Args:
        patient: Whether a daemon that is not there yet is waited for.

    Attributes:
        connected: Whether it is now.
        found: Whether it ever was.
    """

    def __init__(self, target: Target, wanted: Subscribe, *, patient: bool = False) -> None:
        self.connected = self.found = False
        self._target = target
        self._wanted = wanted
        self._patient = patient
        self._stream: str | None = None
        self._sequence: int | None = None
        self._last_at: float | None = None

    async def frames(self) -> AsyncGenerator[FeedFrame, None]:
        """What comes, without end. To be left by ``aclosing``.

        Raises CouldNotLook when there is no daemon and it is not patient, SettingsError for a refused token,
        UsageError for a refused filter.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                async with connect_events(self._target) as socket:
                    yield await self._subscribe(socket)
                    pause_s = FIRST_PAUSE_S
                    while True:
                        frame = self._read(await socket.receive())
                        if frame is not None:
                            yield frame
            except CouldNotLook as error:
                if not self.found and not self._patient:
                    raise
                was, self.connected = self.connected, False
                if was:
                    yield Lost(error.message)
            await asyncio.sleep(random.uniform(0.5, 1.0) * pause_s)  # noqa: S311 - jitter, no secret
            pause_s = min(2 * pause_s, LAST_PAUSE_S)

    async def _subscribe(self, socket: EventSocket) -> Subscribed:
        await socket.send(_ENCODE(self._next()))
        try:
            async with asyncio.timeout(OPEN_S):
                while not isinstance(frame := self._read(await socket.receive()), Subscribed):
                    if isinstance(frame, Problem):
                        raise UsageError(frame.message)
        except TimeoutError:
            what = f"the daemon at {self._target.url} did not answer within {OPEN_S:g} s"
            raise NotReachable(what, hint="exai status says what it is doing") from None
        if self._stream != frame.stream:
            if self._stream is not None:
                self._sequence = 0
            elif self._wanted.since is None and not self._wanted.last:
                self._sequence = frame.sequence  # else nothing of what was asked for has come yet
            self._stream = frame.stream
        self.connected = self.found = True
        return frame

    def _next(self) -> Subscribe:
        """The first subscription as it was asked for, then one from where the last one ended."""
        if self._sequence is None:
            return self._wanted
        since = None if self._last_at is None else math.nextafter(self._last_at, math.inf)
        return msgspec.structs.replace(
            self._wanted, stream=self._stream, after=self._sequence, since=since, last=0
        )

    def _read(self, message: bytes) -> FeedFrame | None:
        """A frame; None for one of a kind that is not known here. Raises NotReachable for what is none."""
        try:
            frame: FeedFrame = _DECODE(message)
        except msgspec.ValidationError as error:
            self._look_at(message, error)
            return None
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._foreign("it sent what is no JSON") from error
        if isinstance(frame, RawEvents):
            self._sequence = frame.sequence
            if frame.events:
                self._last_at = self._time_of(frame.events[-1])
        elif isinstance(frame, Dropped):
            self._sequence = frame.sequence
        return frame

    def _time_of(self, event: msgspec.Raw) -> float:
        try:
            return msgspec.json.decode(event, type=_Timed).timestamp
        except msgspec.ValidationError as error:
            raise self._foreign(f"its events frame has another form: {error}") from error

    def _look_at(self, message: bytes, error: msgspec.ValidationError) -> None:
        """Leave a frame of another kind alone. Raises NotReachable for one that should have been read."""
        try:
            op = msgspec.json.decode(message, type=_Any).op
        except msgspec.DecodeError:
            raise self._foreign("it sent a frame without an op") from error
        if op in ("subscribed", "events", "dropped", "gap", "state", "error"):
            raise self._foreign(f"its {op} frame has another form: {error}") from error

    def _foreign(self, why: str) -> NotReachable:
        what = f"what answers at {self._target.url} does not speak exai's protocol: {why}"
        return NotReachable(what, hint="is another program on that port? exai status tells")
