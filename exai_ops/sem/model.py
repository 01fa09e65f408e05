"""What a scan says of a process's semaphores: plain values, whatever way they were come by.

A permit that is out is accounted for by a holder: something alive that took it and can give it back. What
might give one back, though nothing shows that it has one, is a holder that is not ``certain``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """What becomes of the permits that are out."""

    IDLE = "idle"
    BUSY = "busy"
    SATURATED = "saturated"
    SUSPECT = "suspect"
    LEAKED = "leaked"
    OVER_RELEASED = "over-released"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Site:
    """A line of a program; ``line`` counts from 1."""

    file: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f" in {self.function}" if self.function else "")


@dataclass(frozen=True, slots=True)
class Holder:
    """What can give permits back.

    Attributes:
        what: ``with`` (a frame inside a ``with`` block), ``frame`` (between acquire and release), ``object``
            (a lease), ``callback`` (a bound release that something will call), ``owner`` (a lock's owner) or
            ``ledger``.
        name: The task's or thread's name, or the object's type.
        stack: From the outermost frame to the innermost.
        permits: How many it has, or at most gives back; None when that has no bound.
        certain: Whether it took what it gives back.
        exact: Whether each of its permits was seen to be taken from this semaphore itself: such holders, when
            they are more than the permits that are out, prove that some were given back twice.
        since_s: For how long, when that is known.
    """

    what: str
    name: str
    stack: tuple[Site, ...] = ()
    permits: int | None = 1
    certain: bool = True
    exact: bool = False
    since_s: float | None = None


@dataclass(frozen=True, slots=True)
class Waiter:
    """What waits for a permit; ``granted`` when it has been given one and has not run since."""

    name: str
    stack: tuple[Site, ...] = ()
    granted: bool = False


@dataclass(frozen=True, slots=True)
class Semaphore:
    """One semaphore, lock or limiter of a process at one moment.

    Attributes:
        address: Where it is, its identity within the process.
        kind: The class of the library: ``asyncio.BoundedSemaphore``.
        type_name: Its own class, when that is a subclass.
        where: What names it: ``app.Pool._slots``, ``dict POOLS['a']``, ``closure crawl.<locals>.sem``.
        built: Where it was made, when that is known.
        value: Permits that are free.
        bound: Permits in all; None when nothing says it.
        bound_from: ``stored``, ``source`` or ``none``; ``no bound`` for a counter or a signal.
        waiters: Those in its queue.
        granted: Permits given to waiters that have not run since.
        holders: Who can give permits back.
        why: What could not be found out, empty when all could.
    """

    address: int
    kind: str
    type_name: str
    where: tuple[str, ...]
    value: int
    bound: int | None
    built: Site | None = None
    bound_from: str = "stored"
    waiters: tuple[Waiter, ...] = ()
    granted: int = 0
    holders: tuple[Holder, ...] = ()
    why: str = ""

    @property
    def held(self) -> int:
        """Permits with those that surely have them."""
        return sum(holder.permits or 0 for holder in self.holders if holder.certain)

    @property
    def proven(self) -> int:
        """Permits that were seen to be taken and not given back."""
        return sum(holder.permits or 0 for holder in self.holders if holder.certain and holder.exact)

    @property
    def possible(self) -> int | None:
        """Permits that might come back beside; None when there is no bound to them."""
        some = [holder.permits for holder in self.holders if not holder.certain]
        return None if None in some else sum(permits or 0 for permits in some)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and the permits it is about."""

    verdict: Verdict
    permits: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Scan:
    """All semaphores of a process at one moment.

    Attributes:
        started_ticks: Of the process, in clock ticks since boot: with the pid, its identity.
        at_s: When, by the monotonic clock.
        took_s: How long it took.
        notes: What a reader should know: a process that is stopped, one that runs without rest.
    """

    pid: int
    started_ticks: int
    python: str
    at_s: float
    took_s: float
    semaphores: tuple[Semaphore, ...]
    tasks: int = 0
    threads: int = 0
    notes: tuple[str, ...] = field(default=())
