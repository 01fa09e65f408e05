"""Capacity as a ledger: who holds each permit, where taken, since when, until when.

A call holds one entry, which counts against three limits taken together in the order global, provider,
session. Invariant: ``limit = free + held`` for each limit, checked by ``Ledger.broken``. Entries are taken
by ``async with ledger.hold(...)`` alone, and only the holder gives its entry back.

A leak is an entry whose holder can no longer give it back: its task is done, its connection is gone,
or its deadline has passed. ``value != limit`` is not a leak, it is a busy permit.

Calls without a permit wait in a queue that is fair between sessions. When it is full, the newest call of
the longest session queue gives way to a session with fewer; when it holds too many bytes, the newest of the
session that holds the most, to a session with less.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

from exai_ops.daemon.fairqueue import FairQueue
from exai_ops.errors import OverCapacity

LeakReason: TypeAlias = Literal["owner done", "connection gone", "deadline passed"]

GONE_GRACE_S: Final = 2.0
"""How long a call may take to end after its connection went, before its permit counts as leaked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Calls at work at once: in all, per provider, per session; calls that may wait, with the bytes that they
    may hold together; and times in seconds.
    """

    total: int
    providers: Mapping[str, int]
    session: int
    queue: int
    wait_s: float
    hold_s: float
    retry_after_s: float
    queue_bytes: float = math.inf


class Owner:
    """Who a permit is for: the call, as the ledger needs to know it.

    Attributes:
        size_bytes: What it holds while it waits.
        gone_since: Monotonic seconds at which its connection went without leave to go on, or None.
    """

    __slots__ = ("gone_since", "request_id", "session_id", "size_bytes", "tool")

    def __init__(self, session_id: str, request_id: str, tool: str, *, size_bytes: int = 0) -> None:
        self.size_bytes = size_bytes
        self.session_id = session_id
        self.request_id = request_id
        self.tool = tool
        self.gone_since: float | None = None


class Entry:
    """One held permit. Times are monotonic seconds; ``provider`` is None between two providers.

    Attributes:
        queued_s: How long it waited for the permit that it took first.
        waited_s: All waiting for permits, another provider's included.
    """

    __slots__ = (
        "deadline",
        "number",
        "owner",
        "provider",
        "queued_s",
        "site",
        "taken_at",
        "task",
        "waited_s",
    )

    def __init__(self, number: int, owner: Owner, provider: str | None) -> None:
        self.number = number
        self.owner = owner
        self.provider = provider
        self.site: tuple[str, int] = ("", 0)
        self.task: asyncio.Task[Any] | None = None
        self.taken_at = 0.0
        self.deadline = 0.0
        self.queued_s = 0.0
        self.waited_s = 0.0


class _Waiter:
    """A call in the queue; ``granted`` resolves once its entry has been counted."""

    __slots__ = ("entry", "granted", "timer")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.timer: asyncio.TimerHandle | None = None


class Ledger:
    """All permits of the daemon, and the calls that wait for one."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.entries: dict[int, Entry] = {}
        self.refused = 0
        self._clock = clock
        self._numbers = itertools.count(1)
        self._used = 0
        self._used_by_provider: dict[str, int] = dict.fromkeys(limits.providers, 0)
        self._used_by_session: dict[str, int] = {}
        self._queue: FairQueue[_Waiter] = FairQueue()
        self._queued_bytes: dict[str, int] = {}
        self._waiting_bytes = 0
        self._switching: dict[str, deque[_Waiter]] = {name: deque() for name in limits.providers}

    # --- taking and giving back -------------------------------------------------------------

    def hold(self, owner: Owner, provider: str | None) -> Hold:
        """A permit for the length of an ``async with``; entering waits in the queue.

        Entering raises OverCapacity when the queue is full or the wait is over. A cancelled wait
        leaves nothing behind.
        """
        return Hold(self, Entry(next(self._numbers), owner, provider))

    async def acquire(self, entry: Entry) -> None:
        """For ``Hold`` alone: count an entry in, waiting if need be."""
        asked_at = self._clock()
        if self.free(entry.owner.session_id, entry.provider):
            self._take(entry)
        else:
            await self._wait(entry)
        entry.queued_s = entry.waited_s = entry.taken_at - asked_at

    def release(self, entry: Entry) -> None:
        """For ``Hold`` alone: count its own entry out."""
        session = entry.owner.session_id
        del self.entries[entry.number]
        self._used -= 1
        if entry.provider is not None:
            self._used_by_provider[entry.provider] -= 1
        left = self._used_by_session[session] - 1
        if left:
            self._used_by_session[session] = left
        else:
            del self._used_by_session[session]
        self._queue.unpark(session)
        self._pump(entry.provider)

    async def switch(self, entry: Entry, provider: str) -> float:
        """Exchange an entry's provider permit for another provider's; the other two stay held.

        Returns how many seconds it waited, 0 when it had to wait for nobody.

        The old one is given back before the new one is waited for, so two switches never wait for
        each other. Raises OverCapacity like entering; the entry then holds no provider permit.
        """
        old = entry.provider
        if old == provider:
            return 0.0
        if old is not None:
            self._used_by_provider[old] -= 1
            entry.provider = None
            self._pump(old)
        if self._provider_room(provider):
            self._take_provider(entry, provider)
            return 0.0
        asked_at = self._clock()
        await self._wait_to_switch(entry, provider)
        waited_s = self._clock() - asked_at
        entry.waited_s += waited_s
        return waited_s

    # --- what is known ----------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Calls in the queue, and calls that wait to change their provider."""
        return len(self._queue) + sum(map(len, self._switching.values()))

    @property
    def waiting_bytes(self) -> int:
        """What the calls in the queue hold; those that change their provider are at work and not counted."""
        return self._waiting_bytes

    @property
    def held(self) -> int:
        """Permits held, in all."""
        return self._used

    def free(self, session: str, provider: str | None) -> bool:
        """Whether a call gets its permit at once. It passes nobody: what waits has no room."""
        return self._room(session, provider)

    def usage(self) -> dict[str, dict[str, int]]:
        """Limit, held and free of the global permit and of each provider's."""
        rows = {"global": (self.limits.total, self._used)}
        rows |= {name: (limit, self._used_by_provider[name]) for name, limit in self.limits.providers.items()}
        return {name: {"limit": n, "held": held, "free": n - held} for name, (n, held) in rows.items()}

    def sessions(self) -> dict[str, dict[str, int]]:
        """Held and queued of each session that has either."""
        queued = self._queue.sessions()
        ids = self._used_by_session.keys() | queued.keys()
        return {s: {"held": self._used_by_session.get(s, 0), "queued": queued.get(s, 0)} for s in ids}

    def holders(self) -> Iterator[Entry]:
        """The entries, oldest first."""
        return iter(sorted(self.entries.values(), key=lambda entry: entry.taken_at))

    def now(self) -> float:
        """Monotonic seconds of the ledger's clock."""
        return self._clock()

    def broken(self) -> list[str]:
        """What contradicts the invariant, a line each; empty when the ledger is whole."""
        entries = list(self.entries.values())
        counted = {"global": (self._used, len(entries), self.limits.total)}
        for name, limit in self.limits.providers.items():
            held = sum(entry.provider == name for entry in entries)
            counted[name] = (self._used_by_provider[name], held, limit)
        for session, used in self._used_by_session.items():
            held = sum(entry.owner.session_id == session for entry in entries)
            counted[f"session {session}"] = (used, held, self.limits.session)
        return [
            f"{name}: counted {used}, held {held}, limit {limit}"
            for name, (used, held, limit) in counted.items()
            if used != held or not 0 <= used <= limit
        ]

    def leaks(self) -> list[tuple[Entry, LeakReason]]:
        """The entries whose holder can no longer give them back, with the reason."""
        now = self._clock()
        found = ((entry, _leak_reason(entry, now)) for entry in self.entries.values())
        return [(entry, reason) for entry, reason in found if reason is not None]

    # --- counting ---------------------------------------------------------------------------

    def _provider_room(self, provider: str | None) -> bool:
        return provider is None or self._used_by_provider[provider] < self.limits.providers[provider]

    def _session_room(self, session: str) -> bool:
        return self._used_by_session.get(session, 0) < self.limits.session

    def _room(self, session: str, provider: str | None) -> bool:
        return (
            self._used < self.limits.total and self._provider_room(provider) and self._session_room(session)
        )

    def _take(self, entry: Entry) -> None:
        session = entry.owner.session_id
        self._used += 1
        if entry.provider is not None:
            self._used_by_provider[entry.provider] += 1
        self._used_by_session[session] = self._used_by_session.get(session, 0) + 1
        entry.taken_at = self._clock()
        entry.deadline = entry.taken_at + self.limits.hold_s
        self.entries[entry.number] = entry

    def _take_provider(self, entry: Entry, provider: str) -> None:
        self._used_by_provider[provider] += 1
        entry.provider = provider

    # --- waiting ----------------------------------------------------------------------------

    async def _wait(self, entry: Entry) -> None:
        """Queue until the entry is counted; on any error it is not."""
        self._make_place(entry.owner)
        waiter = self._waiter(entry)
        self._queue.push(entry.provider, entry.owner.session_id, waiter)
        self._weigh(entry.owner, 1)
        self._pump(entry.provider)
        try:
            await waiter.granted
        except BaseException:
            if _was_granted(waiter):
                self.release(entry)
            else:
                self._leave_queue(waiter)
            raise
        finally:
            _stop(waiter)

    async def _wait_to_switch(self, entry: Entry, provider: str) -> None:
        """Wait for a provider's permit ahead of the queue: this call is at work already."""
        waiter = self._waiter(entry)
        line = self._switching[provider]
        line.append(waiter)
        try:
            await waiter.granted
        except BaseException:
            if waiter in line:
                line.remove(waiter)
            raise
        finally:
            _stop(waiter)

    def _waiter(self, entry: Entry) -> _Waiter:
        waiter = _Waiter(entry)
        loop = asyncio.get_running_loop()
        waiter.timer = loop.call_later(self.limits.wait_s, self._expire, waiter)
        return waiter

    def _expire(self, waiter: _Waiter) -> None:
        self._refuse(waiter, f"no permit within {self.limits.wait_s:g} s")

    def _refuse(self, waiter: _Waiter, why: str) -> None:
        self._leave_queue(waiter)
        if not waiter.granted.done():
            waiter.granted.set_exception(self._over_capacity(why))

    def _over_capacity(self, why: str) -> OverCapacity:
        self.refused += 1
        rows = [f"{name} {row['held']}/{row['limit']}" for name, row in self.usage().items()]
        state = ", ".join([*rows, f"{self.waiting} waiting"])
        return OverCapacity(f"{why} ({state})", retry_after_s=self.limits.retry_after_s)

    def _leave_queue(self, waiter: _Waiter) -> None:
        owner = waiter.entry.owner
        if self._queue.discard(waiter.entry.provider, owner.session_id, waiter):
            self._weigh(owner, -1)

    def _weigh(self, owner: Owner, sign: int) -> None:
        """Count the bytes of a call that came into the queue, or left it."""
        self._waiting_bytes += sign * owner.size_bytes
        now = self._queued_bytes.get(owner.session_id, 0) + sign * owner.size_bytes
        if now:
            self._queued_bytes[owner.session_id] = now
        else:
            self._queued_bytes.pop(owner.session_id, None)

    def _make_place(self, owner: Owner) -> None:
        """Room in the queue for one more call, or OverCapacity."""
        self._make_room(owner)
        if len(self._queue) < self.limits.queue:
            return
        longest = self._queue.newest_of_longest()
        if (
            longest is None
            or self._queue.waiting_of(longest[0]) <= self._queue.waiting_of(owner.session_id) + 1
        ):
            raise self._over_capacity("the queue is full")
        self._refuse(longest[1], "the queue is full and this session has the most calls in it")

    def _make_room(self, owner: Owner) -> None:
        """Room for the bytes of one more call, or OverCapacity. Nobody is refused for a call that is, too."""
        full = f"the queue is full, {self.limits.queue_bytes} bytes"
        over = self.waiting_bytes + owner.size_bytes - self.limits.queue_bytes
        if over <= 0:
            return
        held = self._queued_bytes
        heaviest = max(held, key=held.__getitem__, default="")
        would_hold = held.get(owner.session_id, 0) + owner.size_bytes
        if held.get(heaviest, 0) <= would_hold or held[heaviest] < over:
            raise self._over_capacity(full)
        while self.waiting_bytes + owner.size_bytes > self.limits.queue_bytes:
            self._refuse(self._queue.newest_of(heaviest), f"{full}, and this session holds the most of it")

    # --- granting ---------------------------------------------------------------------------

    def _pump(self, provider: str | None) -> None:
        """Grant what there is room for: calls at work that change to this provider, then the queue."""
        if provider is not None:
            line = self._switching[provider]
            while line and self._provider_room(provider):
                waiter = line.popleft()
                if not waiter.granted.done():
                    self._take_provider(waiter.entry, provider)
                    waiter.granted.set_result(None)
        while self._queue and self._used < self.limits.total:
            queued = self._queue.pop(self._provider_room, self._session_room)
            if queued is None:
                return
            self._weigh(queued.entry.owner, -1)
            if not queued.granted.done():
                self._take(queued.entry)
                queued.granted.set_result(None)


class Hold:
    """``async with`` around what needs a permit; gives back exactly what it took."""

    __slots__ = ("_ledger", "entry")

    def __init__(self, ledger: Ledger, entry: Entry) -> None:
        self._ledger = ledger
        self.entry = entry

    async def __aenter__(self) -> Self:
        entry = self.entry
        frame = sys._getframe(1)  # noqa: SLF001  # where the permit is taken; the cheap way to know
        entry.site = (frame.f_code.co_filename, frame.f_lineno)
        entry.task = asyncio.current_task()
        await self._ledger.acquire(entry)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ledger.release(self.entry)

    async def use(self, provider: str) -> float:
        """Hold this provider's permit in place of the one held so far; the seconds waited for it.

        Raises OverCapacity.
        """
        return await self._ledger.switch(self.entry, provider)


def _stop(waiter: _Waiter) -> None:
    if waiter.timer is not None:
        waiter.timer.cancel()


def _was_granted(waiter: _Waiter) -> bool:
    granted = waiter.granted
    return granted.done() and not granted.cancelled() and granted.exception() is None


def _leak_reason(entry: Entry, now: float) -> LeakReason | None:
    if entry.task is not None and entry.task.done():
        return "owner done"
    if now >= entry.deadline:
        return "deadline passed"
    gone = entry.owner.gone_since
    if gone is not None and now - gone >= GONE_GRACE_S:
        return "connection gone"
    return None
