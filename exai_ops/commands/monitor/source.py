"""Where the one-shot commands have events from: the running daemon, or what is left on disk without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from exai_ops.client.connection import NotReachable
from exai_ops.commands.monitor.feed import Feed, FeedFrame, Lost, RawEvents
from exai_ops.commands.monitor.lines import Exported, exported, words
from exai_ops.errors import CouldNotLook, StorageError
from exai_ops.monitor import kept
from exai_ops.monitor.events import Event
from exai_ops.monitor.filters import check_types, compiled
from exai_ops.monitor.wire import Dropped, Filter, Gap, Problem, State, Subscribe, Subscribed

if TYPE_CHECKING:
    from exai_ops.client import Target

ALL: Final = 1_000_000_000
"""More events than any ring holds."""
SILENT_S: Final = 60.0
"""How long a daemon may look through what it keeps without finding anything."""
EVERYTHING: Final = Filter()
_BATCH: Final = 1000

Take: TypeAlias = Callable[[Sequence[Event]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to look.

    Attributes:
        folder: Of the events on disk.
        from_disk: Whether no daemon is asked.
        elsewhere: Whether the daemon was named by its address, so that the folder may not be its own.
    """

    target: Target
    folder: Path
    from_disk: bool = False
    elsewhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for.

    Attributes:
        since_s: First what is on disk from then on; None for what the daemon has in memory (all, from disk).
        until_s: Only what is earlier.
        events, state: Whether these are wanted; a state is only a daemon's.
    """

    filter: Filter = EVERYTHING
    since_s: float | None = None
    until_s: float = float("inf")
    events: bool = True
    state: bool = False


@dataclass(slots=True, kw_only=True)
class Origin:
    """Where it came from.

    Attributes:
        live: Whether that is a daemon.
        words: ``the daemon at ws://...``, ``disk (/.../events)``.
        state: Of the daemon, if it was wanted.
        notes: What is missing, and why there was no daemon.
    """

    live: bool
    words: str
    state: State | None = None
    notes: list[str] = field(default_factory=list)


def read(place: Place, wanted: Wanted, take: Take, *, on_disk: Wanted | None = None) -> Origin:
    """Hand over the events that fit, in order, in batches; without a daemon those that ``on_disk`` asks for.

    Raises CouldNotLook for no daemon and nothing on disk, and for a daemon that is lost on the way;
    UsageError for a filter; SettingsError for a refused token.
    """
    if place.from_disk:
        return read_disk(place.folder, on_disk or wanted, take)
    try:
        return asyncio.run(read_daemon(place.target, wanted, take))
    except NotReachable as error:
        if place.elsewhere:
            raise
        if not files(place.folder):
            what = f"{error.message}; and no events are kept in {place.folder}"
            raise CouldNotLook(what, hint=error.hint) from error
        origin = read_disk(place.folder, on_disk or wanted, take)
        origin.notes.insert(0, error.message)
        return origin


async def read_daemon(target: Target, wanted: Wanted, take: Take) -> Origin:
    """The same of a daemon alone. Raises NotReachable too."""
    subscribe = Subscribe(
        filter=wanted.filter,
        since=wanted.since_s,
        last=ALL if wanted.events and wanted.since_s is None else 0,
        events=wanted.events,
        state_every_s=1.0 if wanted.state else 0.0,
    )
    origin = Origin(live=True, words=f"the daemon at {target.url}")
    left = {kind for kind, asked in ((RawEvents, wanted.events), (State, wanted.state)) if asked}
    async with aclosing(Feed(target, subscribe).frames()) as frames:
        while left:
            frame = await _within(SILENT_S, anext(frames), target)
            if isinstance(frame, RawEvents) and frame.events:
                events = [_event(exported(raw)) for raw in frame.events]
                take([event for event in events if event.timestamp < wanted.until_s])
            elif isinstance(frame, State):
                origin.state = frame
                left.discard(State)
            elif isinstance(frame, RawEvents):
                left.discard(RawEvents)
            elif not isinstance(frame, Subscribed):
                _note(origin, frame)
    return origin


async def _within(seconds: float, coming: Awaitable[FeedFrame], target: Target) -> FeedFrame:
    try:
        async with asyncio.timeout(seconds):
            return await coming
    except TimeoutError:
        what = f"the daemon at {target.url} said nothing for {seconds:g} s"
        raise CouldNotLook(what, hint="exai status says what it is doing") from None


def _note(origin: Origin, frame: FeedFrame) -> None:
    """Raises CouldNotLook where what is missing cannot be had."""
    if isinstance(frame, Lost):
        raise CouldNotLook(frame.why, hint="ask again, or look at what it has left with --from-disk")
    if isinstance(frame, Problem):
        raise CouldNotLook(frame.message)
    if isinstance(frame, Dropped | Gap):
        origin.notes.append(words(frame))


def _event(one: Exported) -> Event:
    return Event(
        one.timestamp,
        one.connection_type,
        one.direction,
        one.script,
        one.function,
        one.data_size_bytes,
        one.response_time_ms,
        one.error,
        one.metadata or None,
        one.weight,
    )


def read_disk(folder: Path, wanted: Wanted, take: Take) -> Origin:
    """The same of what is on disk. Raises CouldNotLook for none, and for what cannot be read."""
    if not files(folder):
        hint = "EXAI_STATE_DIR says where they are; with EXAI_EVENT_STORE_MAX_BYTES=0 none are kept"
        raise CouldNotLook(f"no events are kept in {folder}", hint=hint)
    matcher, found, seen = compiled(wanted.filter), False, set[str]()
    for batch in batches(folder, wanted):
        fitting = [event for event in batch if matcher(event)]
        if fitting:
            found = True
            take(fitting)
        elif not found:
            seen.update(event.connection_type for event in batch)
    if not found:
        check_types(wanted.filter.types, seen)
    return Origin(live=False, words=f"disk ({folder})")


def batches(folder: Path, wanted: Wanted) -> Iterator[list[Event]]:
    """What is on disk of that time, before the filter but for a session or request. Raises CouldNotLook."""
    asked = wanted.filter
    key = next((key for key in ("request", "session") if getattr(asked, key) and not asked.types), None)
    holding = kept.holding(key, getattr(asked, key)) if key else ""
    events = kept.read(folder, wanted.since_s or 0.0, wanted.until_s, holding=holding)
    try:
        while True:
            try:
                batch = list(islice(events, _BATCH))
            except (OSError, StorageError) as error:
                raise unreadable(folder, error) from error
            if not batch:
                return
            yield batch
    finally:
        events.close()


def unreadable(folder: Path, error: OSError | StorageError) -> CouldNotLook:
    """Kept events that cannot be read."""
    if isinstance(error, StorageError):
        return CouldNotLook(error.message, hint=error.hint)
    return CouldNotLook(f"events kept in {folder} cannot be read: {error.strerror or error}")


def files(folder: Path) -> Sequence[Path]:
    """Those of events on disk. Raises CouldNotLook."""
    try:
        return kept.files(folder)
    except OSError as error:
        raise unreadable(folder, error) from error
