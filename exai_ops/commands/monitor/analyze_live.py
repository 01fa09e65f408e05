"""What ``exai monitor analyze`` reads without a file: the events kept on disk, and the daemon's buffer."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exai_ops.commands.monitor import options
from exai_ops.errors import CouldNotLook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exai_ops.client import Target
    from exai_ops.monitor.analysis.cube import Cube
    from exai_ops.monitor.analysis.sources import Skipped
    from exai_ops.monitor.events import Event

LAST: Final = 1_000_000
"""More than any ring holds: all of it."""
WAIT_S: Final = 10.0


def live(
    url: str | None,
    port: int | None,
    env_file: Path | None,
    since_s: float | None,
    until_s: float | None,
    wanted: Callable[[Event], bool] | None,
) -> tuple[Cube, Skipped]:
    """Kept events, then what the daemon's buffer has after them; ``url`` asks for the buffer alone.

    Raises CouldNotLook when neither has any event.
    """
    from exai_ops.monitor import kept
    from exai_ops.monitor.analysis.cube import Cube
    from exai_ops.monitor.analysis.reading import count
    from exai_ops.monitor.analysis.sources import Skipped, of_events

    settings, target = options.daemon(url, port, env_file)
    folder = settings.event_folder
    cube, skipped = Cube(), Skipped()
    newest = 0.0

    def stored() -> Iterator[Event]:
        nonlocal newest
        for event in kept.read(folder, since_s or 0.0, float("inf") if until_s is None else until_s):
            newest = max(newest, event.timestamp)
            yield event

    if url is None and kept.files(folder):
        count(cube, str(folder), of_events(stored(), str(folder), skipped, wanted), skipped, 0)
    try:
        buffered = asyncio.run(_buffer(target))
    except CouldNotLook as error:
        if not cube.events:
            hint = f"nothing is kept in {folder} either; or name a file" if url is None else error.hint
            raise CouldNotLook(error.message, hint=hint) from error
        return cube, skipped
    fresh = [event for event in buffered if event.timestamp > newest]
    count(cube, target.url, of_events(fresh, target.url, skipped, wanted), skipped, 0)
    return cube, skipped


async def _buffer(target: Target) -> list[Event]:
    """All that the daemon's buffer holds. Raises CouldNotLook, SettingsError for a refused token."""
    import msgspec

    from exai_ops.commands.monitor.feed import Feed, RawEvents
    from exai_ops.monitor.wire import Problem, Subscribe, Subscribed, event_of

    decode = msgspec.json.Decoder(dict).decode
    found: list[Event] = []
    upto = None
    try:
        async with asyncio.timeout(WAIT_S), aclosing(Feed(target, Subscribe(last=LAST)).frames()) as frames:
            async for frame in frames:
                if isinstance(frame, Subscribed):
                    upto = frame.sequence
                elif isinstance(frame, RawEvents):
                    found += [event_of(decode(raw)) for raw in frame.events]
                elif isinstance(frame, Problem):
                    raise CouldNotLook(f"the daemon at {target.url} says: {frame.message}")
                whole = found and upto is not None and getattr(frame, "sequence", 0) >= upto
                if whole or upto == 0:
                    break
    except TimeoutError:
        pass  # what was recorded while it was asked may be nothing
    return found
