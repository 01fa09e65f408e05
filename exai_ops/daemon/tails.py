"""Clients of ``/events``: what is recorded is pushed to all of them at once, and a slow one pays for itself.

Nothing is queued for a client. Each has a position among chunks that all share; who takes nothing stays where
it is, and what is gone by the time it takes again was dropped, and is told. So a client costs the bytes that
its socket buffers, and holds nobody up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from exai_ops.daemon.event_chunks import CHUNK_EVENTS, Chunk, Chunks, events_frame, said
from exai_ops.logs import get_logger
from exai_ops.monitor.filters import Matcher
from exai_ops.monitor.recorder import Batch, Monitor
from exai_ops.monitor.wire import Dropped, Filter, Gap, State

_LOG: Final = get_logger("exai.events")
BATCH_S: Final = 0.02
"""Between two looks while events come: they go out together. After a quiet time the first goes at once."""
STATE_S: Final = 1.0
"""Between two states."""
QUIET_S: Final = 1.0
"""After which a client whose filter lets nothing through is told how far it is, for its next connection."""


class Wire(Protocol):
    """What the server offers beyond ASGI: see ``server.WebSocketProtocol``."""

    def write_raw(self, frames: bytes) -> bool:
        """Write frames as they are; False when the other side takes none now, or is gone."""

    async def wait_writable(self) -> bool:
        """Wait until it takes more; False once it is gone."""

    def abort(self) -> None:
        """Drop the connection at once."""


class Tail:
    """One client.

    Attributes:
        position: Number of the last event that it was sent, or that did not fit.
        live: Whether it is sent events as they come; not before it wants some, nor while it catches up.
        state_every_s: Between its states, 0 for none.
    """

    def __init__(self, wire: Wire, tails: Tails) -> None:
        self.wire = wire
        self.position = 0
        self.live = False
        self.state_every_s = 0.0
        self.filter = Filter()
        self.matcher = Matcher(())
        self._tails = tails
        self._work: asyncio.Task[None] | None = None
        self._blocked = False
        self._sent_at = 0.0
        self._state_at = 0.0

    def do(self, work: Coroutine[Any, Any, None] | None) -> None:
        """Work for it in place of what was going on, if anything was."""
        if self._work is not None:
            self._work.cancel()
        self._blocked = False
        self._work = None if work is None else asyncio.create_task(work)

    async def send(self, frame: bytes) -> None:
        """Send a frame once it can be taken; nothing happens when the client is gone."""
        while not self.wire.write_raw(frame):
            if not await self.wire.wait_writable():
                return

    def begin(self, now: float) -> None:
        """From now on it is sent events as they come."""
        self.live, self._sent_at = True, now

    def push(self, now: float) -> None:
        """Send what it has not got, as far as it takes it; ``now`` is the loop's time."""
        if not self.live or self._blocked:
            return
        chunks = self._tails.chunks
        if self.position < chunks.start and not self._tell_dropped(chunks.start):
            return
        for chunk in chunks.after(self.position):
            if not self._send(chunk, now):
                self._wait()
                return

    def _tell_dropped(self, start: int) -> bool:
        count = start - self.position
        if not self.wire.write_raw(said(Dropped(sequence=start, count=count))):
            self._wait()
            return False
        self.position = start
        self._tails.dropped += count
        return True

    def _send(self, chunk: Chunk, now: float) -> bool:
        if chunk.missed and self.position < chunk.before:
            if not self.wire.write_raw(said(Gap(reason="expired", missed=chunk.before - self.position))):
                return False
            self.position = chunk.before
        frame = chunk.frame(self.filter, self.matcher)
        if frame is None and now - self._sent_at > QUIET_S:
            frame = events_frame(chunk.last, ())
        if frame is not None:
            if not self.wire.write_raw(frame):
                return False
            self._sent_at = now
        self.position = chunk.last
        return True

    def _wait(self) -> None:
        self.do(self._unblocked())
        self._blocked = True

    async def _unblocked(self) -> None:
        if await self.wire.wait_writable():
            self._blocked = False
            self.push(asyncio.get_running_loop().time())

    def watch(self, every_s: float) -> None:
        """Have it shown a state from now on, every so often."""
        self.state_every_s, self._state_at = every_s, 0.0

    def show(self, state: bytes, now: float) -> None:
        """Send a state if it is time for one; who takes nothing now gets a later one."""
        if self.state_every_s and now >= self._state_at and self.wire.write_raw(state):
            self._state_at = now + self.state_every_s - STATE_S / 2


class Tails:
    """All of them. To be used on the loop's thread.

    Attributes:
        dropped: Events that slow clients lost, since the start.
    """

    def __init__(self, monitor: Monitor, state: Callable[[], State]) -> None:
        self.chunks = Chunks(0)
        self.dropped = 0
        self._monitor = monitor
        self._make_state = state
        self._tails: set[Tail] = set()
        self._incoming: deque[Chunk] = deque()
        self._taken = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._armed = False
        self._timer: asyncio.TimerHandle | None = None
        self._state: tuple[float, bytes] | None = None
        self._ticking: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._tails)

    def join(self, wire: Wire) -> Tail:
        """A client comes."""
        if not self._tails:
            self._loop = asyncio.get_running_loop()
            self._incoming.clear()
            self._taken = self._monitor.sequence
            self.chunks = Chunks(self._taken)
        tail = Tail(wire, self)
        self._tails.add(tail)
        self.take()
        return tail

    def leave(self, tail: Tail) -> None:
        """It is gone; what was going on for it ends."""
        tail.live = False
        tail.do(None)
        self._tails.discard(tail)
        if not self._tails:
            self._rest()
            self._incoming.clear()
            self.chunks = Chunks(self._taken)

    def _rest(self) -> None:
        """Nobody is there: neither clock nor events wake us."""
        self._monitor.forget(self._woken)
        self._armed = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def go_live(self, tail: Tail) -> None:
        """It has all up to its position: from now on it is sent events as they come."""
        now = asyncio.get_running_loop().time()
        tail.begin(now)
        tail.push(now)

    # --- events -----------------------------------------------------------------------------

    def take(self) -> int:
        """Take what was recorded and begin to push it; the number of the last event.

        While events come, the next look is by the clock, so that recording costs nothing more; the first
        event after a quiet time wakes us.
        """
        if not self._tails or self._loop is None:
            return self._monitor.sequence
        batch = self._monitor.since(self._taken)
        if batch.sequence > self._taken:
            if self._timer is None:
                self._timer = self._loop.call_later(BATCH_S, self._on_time)
            self._queue(batch)
        elif self._timer is None and not self._armed:
            self._armed = True
            self._monitor.on_next(self._woken)
            if self._monitor.sequence > self._taken:  # recorded before on_next, it wakes nobody
                return self.take()
        return self._taken

    def _on_time(self) -> None:
        self._timer = None
        self.take()

    def _woken(self) -> None:
        """An event was recorded, in whichever thread."""
        assert self._loop is not None  # noqa: S101 - set before it was armed
        try:
            self._loop.call_soon_threadsafe(self._due)
        except RuntimeError:
            return  # the loop is closed, and a thread that outlives it records

    def _due(self) -> None:
        self._armed = False
        self.take()

    def _queue(self, batch: Batch) -> None:
        idle, missed = not self._incoming, batch.missed
        for begin in range(0, len(batch.events), CHUNK_EVENTS):
            events = batch.events[begin : begin + CHUNK_EVENTS]
            last = batch.sequence - len(batch.events) + begin + len(events)
            self._incoming.append(Chunk(events, last, missed))
            missed = 0
        self._taken = batch.sequence
        if idle:
            self._push()

    def _push(self) -> None:
        """One chunk to everybody, and the next in the loop's next turn, so that calls get theirs."""
        if not self._incoming or self._loop is None:
            return
        self.chunks.add(self._incoming.popleft())
        now = self._loop.time()
        for tail in list(self._tails):
            tail.push(now)
        self.chunks.settle()
        if self._incoming:
            self._loop.call_soon(self._push)

    # --- state ------------------------------------------------------------------------------

    def want_state(self, tail: Tail, every_s: float) -> None:
        """Send it states from now on, the first at once."""
        tail.watch(every_s)
        if every_s:
            now = asyncio.get_running_loop().time()
            tail.show(self._current_state(now), now)
            if self._ticking is None:
                self._tick_later()

    def _tick_later(self) -> None:
        self._ticking = asyncio.get_running_loop().call_later(STATE_S, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        watching = [tail for tail in self._tails if tail.state_every_s]
        if not watching:
            return
        self._tick_later()
        now = asyncio.get_running_loop().time()
        state = self._current_state(now)
        for tail in watching:
            tail.show(state, now)

    def _current_state(self, now: float) -> bytes:
        """Made once a second, however many look at it."""
        if self._state is None or now - self._state[0] > STATE_S * 0.9:
            self._state = now, said(self._make_state())
        return self._state[1]
