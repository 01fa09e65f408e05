"""Follow every semaphore of this process for a while, and say which permits stayed out.

asyncio's ``Semaphore`` and ``Lock`` and threading's ``Semaphore`` are observed through their own methods, so
that it does not matter where one was made or how its class was imported. What the standard library takes for
its own ends (executors count idle threads with one) and what started at zero (a signal, a counter) is left
alone.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import sysconfig
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from types import FrameType
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from exai_ops.sem.permits import Held, Permit, Tally, _frame
from exai_ops.sem.tracked import TrackedSemaphore, _running_task

_STDLIB: Final = sysconfig.get_path("stdlib")
_PACKAGES: Final = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
_OWN: Final = frozenset({__file__})
_BLOCKS: Final = frozenset({"__aenter__", "__aexit__", "__enter__", "__exit__"})
_POLL_S: Final = 0.01


class Left(NamedTuple):
    """A permit that stayed out, and the class of its semaphore."""

    kind: str
    held: Held


@dataclass
class _Kept:
    """What was taken between two times, for longer than one watch."""

    since_s: float
    until_s: float = inf
    tallies: dict[Any, Tally] = field(default_factory=dict)

    def has(self, taken_s: float) -> bool:
        """Whether it was taking then."""
        return self.since_s <= taken_s <= self.until_s


class Keeps:
    """What outlives a watch and is handed to the next: permits of a module's fixture, signals.

    Attributes:
        kept: What is held for longer, by what holds it.
        signals: Semaphores that began at zero.
    """

    def __init__(self) -> None:
        self.kept: dict[Hashable, _Kept] = {}
        self.signals: WeakKeyDictionary[Any, None] = WeakKeyDictionary()
        self._keeping: list[_Kept] = []

    @contextmanager
    def keeping(self, key: Hashable) -> Iterator[None]:
        """What is taken within the block is held for longer: see :meth:`Watch.ended`."""
        kept = self.kept[key] = _Kept(time.monotonic())
        self._keeping.append(kept)
        try:
            yield
        finally:
            self._keeping.remove(kept)
            kept.until_s = time.monotonic()

    def now(self) -> dict[Any, Tally] | None:
        """What is taken now belongs there; None when it belongs to the watch."""
        return self._keeping[-1].tallies if self._keeping else None


class Watch:
    """What was taken since it began. One at a time in a process.

    Attributes:
        told: Whether ``left`` has given something.
    """

    def __init__(self, keeps: Keeps | None = None) -> None:
        self._tallies: dict[Any, Tally] = {}  # strong: one that is dropped with its permits out still counts
        self._keeps = keeps or Keeps()
        self._over: list[_Kept] = []
        self._tracked: dict[TrackedSemaphore, None] = {}
        self._lock = threading.Lock()
        self._began_s = time.monotonic()
        self.told = False

    def left(self) -> list[Left]:
        """The permits that are out now, oldest first."""
        found = [
            Left(_kind(semaphore), held)
            for semaphore, tally in list(self._tallies.items())
            for held in tally.held()
            if not _is_stdlib(held.site.file)
        ]
        for one in self._all_tracked():
            found += [Left(_kind(one), held) for held in one.recorded(self._is_mine)]
        self.told = self.told or bool(found)
        return sorted(found, key=lambda left: -left.held.age_s)

    def ended(self, key: Hashable) -> None:
        """What held something for longer has ended: what is still out of it counts as left."""
        kept = self._keeps.kept.pop(key, None)
        if kept is None:
            return
        self._over.append(kept)
        with self._lock:
            for semaphore, tally in kept.tallies.items():
                mine = self._tallies.setdefault(semaphore, Tally())
                for permit in tally:
                    mine.take(permit)

    def _is_mine(self, permit: Permit) -> bool:
        """Whether a permit that a semaphore recorded itself was taken in this watch, and for it."""
        if any(kept.has(permit.taken_s) for kept in self._keeps.kept.values()):
            return False
        return permit.taken_s >= self._began_s or any(kept.has(permit.taken_s) for kept in self._over)

    def settled(self, grace_s: float) -> list[Left]:
        """The same, once none are left or the grace is over: threads may be about to give theirs back."""
        until = time.monotonic() + grace_s
        while (found := self.left()) and time.monotonic() < until:
            time.sleep(_POLL_S)
        return found

    def _all_tracked(self) -> dict[TrackedSemaphore, None]:
        """Those that were made during the watch, and those that were there before."""
        before = (one for one in gc.get_objects() if issubclass(type(one), TrackedSemaphore))
        return {**self._tracked, **dict.fromkeys(before)}

    def _made(self, semaphore: Any, value: object) -> None:
        if isinstance(semaphore, TrackedSemaphore):
            self._tracked[semaphore] = None
        elif value == 0:
            self._keeps.signals[semaphore] = None

    def _took(self, semaphore: Any, owner: Any, frame: FrameType, *, block: int) -> None:
        if not isinstance(semaphore, TrackedSemaphore) and semaphore not in self._keeps.signals:
            with self._lock:
                kept = self._keeps.now()
                tallies = self._tallies if kept is None else kept
                tallies.setdefault(semaphore, Tally()).take(Permit.asked(owner, frame, block=block))

    def _gave(self, semaphore: Any, owner: Any, number: int, *, block: int) -> None:
        with self._lock:
            for _ in range(number):
                tally = self._tally_of(semaphore, owner, block)
                if tally is not None:
                    tally.give(owner, block=block)

    def _tally_of(self, semaphore: Any, owner: Any, block: int) -> Tally | None:
        """Where what is given back was counted out, as far as that can be told."""
        places = (self._tallies, *(kept.tallies for kept in self._keeps.kept.values()))
        some = [tally for tallies in places if (tally := tallies.get(semaphore))]
        return next((tally for tally in some if tally.knows(owner, block)), some[0] if some else None)


@contextmanager
def watching(keeps: Keeps | None = None) -> Iterator[Watch]:
    """Watch until the end of the block.

    Args:
        keeps: What the watches before have kept, and those after are to know.
    """
    watch = Watch(keeps)
    put_back = [*_watch_asyncio(watch), *_watch_threading(watch)]
    try:
        yield watch
    finally:
        for back in reversed(put_back):
            back()


def _watch_asyncio(watch: Watch) -> list[Callable[[], None]]:
    def acquire(original: Any) -> Any:
        @functools.wraps(original)
        def outer(self: Any) -> Any:
            caller = _frame(1)
            return taking(self, _running_task(), _outside(caller), _block(caller))

        async def taking(self: Any, owner: Any, frame: FrameType, block: int) -> Any:
            result = await original(self)
            watch._took(self, owner or _running_task(), frame, block=block)  # noqa: SLF001
            return result

        return outer

    def release(original: Any) -> Any:
        @functools.wraps(original)
        def outer(self: Any) -> None:
            original(self)
            watch._gave(self, _running_task(), 1, block=_block(_frame(1)))  # noqa: SLF001

        return outer

    return [
        _wrap(asyncio.Semaphore, "__init__", _init(watch)),
        _wrap(asyncio.Semaphore, "acquire", acquire),
        _wrap(asyncio.Semaphore, "release", release),
        _wrap(asyncio.Lock, "acquire", acquire),
        _wrap(asyncio.Lock, "release", release),
    ]


def _watch_threading(watch: Watch) -> list[Callable[[], None]]:
    def acquire(original: Any, *, entered: bool = False) -> Any:
        @functools.wraps(original)
        def outer(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            if result:
                frame = _frame(1)
                block = id(frame) if entered else 0
                watch._took(self, threading.current_thread(), _outside(frame), block=block)  # noqa: SLF001
            return result

        return outer

    def release(original: Any) -> Any:
        @functools.wraps(original)
        def outer(self: Any, n: int = 1) -> None:
            original(self, n)
            watch._gave(self, threading.current_thread(), n, block=_block(_frame(1)))  # noqa: SLF001

        return outer

    return [
        _wrap(threading.Semaphore, "__init__", _init(watch)),
        _wrap(threading.Semaphore, "acquire", acquire),
        _wrap(threading.Semaphore, "__enter__", functools.partial(acquire, entered=True)),
        _wrap(threading.Semaphore, "release", release),
        _wrap(threading.BoundedSemaphore, "release", release),
    ]


def _init(watch: Watch) -> Callable[[Any], Any]:
    def init(original: Any) -> Any:
        @functools.wraps(original)
        def outer(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            watch._made(self, args[0] if args else kwargs.get("value", 1))  # noqa: SLF001

        return outer

    return init


def _wrap(owner: Any, name: str, around: Callable[[Any], Any]) -> Callable[[], None]:
    """Put a function around a method of a class; what is given puts the method back."""
    original = owner.__dict__[name]
    setattr(owner, name, around(original))
    return functools.partial(setattr, owner, name, original)


def _block(caller: FrameType) -> int:
    """Identity of the call whose ``with`` block it is that calls, 0 for none."""
    entering = caller.f_code.co_name in _BLOCKS and caller.f_back is not None
    return id(caller.f_back) if entering else 0


def _outside(frame: FrameType) -> FrameType:
    """The frame that uses the semaphore: past ``__aenter__`` and what else stands between."""
    at: FrameType | None = frame
    while at is not None and (_is_stdlib(at.f_code.co_filename) or at.f_code.co_filename in _OWN):
        at = at.f_back
    return frame if at is None else at


@functools.lru_cache(maxsize=1024)
def _is_stdlib(file: str) -> bool:
    return file.startswith(("<frozen", _STDLIB)) and not file.startswith(_PACKAGES)


def _kind(semaphore: Any) -> str:
    kind = type(semaphore)
    return f"{kind.__module__}.{kind.__qualname__}"


def said(left: Sequence[Left]) -> str:
    """What stayed out, a line for each permit."""
    noun = "permit" if len(left) == 1 else "permits"
    lines = [f"{len(left)} {noun} left behind:"]
    for one in left:
        state = ", which has ended" if one.held.ended else ""
        lines.append(f"  {one.held.site}: taken by {one.held.owner}{state}, from {one.kind}")
    return "\n".join(lines)
