"""The events that the running daemon still holds, for an analysis."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from exai_ops.client import Target
    from exai_ops.monitor.analysis.decoding import Wanted
    from exai_ops.monitor.analysis.reading import Read
    from exai_ops.monitor.wire import Filter, Subscribe

LAST: Final = 1_000_000
WHOLE_S: Final = 60.0
"""How long a daemon may take to send what it holds."""


def recorded(
    url: str | None, port: int | None, env_file: Path | None, wanted: Wanted, filter_: Filter
) -> Read:
    """What the daemon holds and fits, counted. Raises CouldNotLook, SettingsError, UsageError."""
    from exai_ops.commands.monitor.options import daemon
    from exai_ops.monitor.analysis.reading import read_live
    from exai_ops.monitor.wire import Subscribe

    _, target = daemon(url, port, env_file)
    since = wanted.since if wanted.since > 0 else None
    subscribe = Subscribe(filter=filter_, since=since, last=0 if since is not None else LAST)
    return read_live(asyncio.run(_held(target, subscribe)), target.url, wanted)


async def _held(target: Target, subscribe: Subscribe) -> list[Any]:
    """Events as exported, and marks of missing ones, up to what was the last when it was asked."""
    import msgspec

    from exai_ops.commands.monitor.feed import Feed, Lost, RawEvents
    from exai_ops.errors import CouldNotLook
    from exai_ops.monitor.wire import Dropped, Gap, Subscribed

    found: list[Any] = []
    upto = 0
    try:
        async with asyncio.timeout(WHOLE_S), aclosing(Feed(target, subscribe).frames()) as frames:
            async for frame in frames:
                if isinstance(frame, Subscribed):
                    upto = frame.sequence
                elif isinstance(frame, RawEvents):
                    found += map(msgspec.json.decode, frame.events)
                    if not frame.events or frame.sequence >= upto:
                        return found
                elif isinstance(frame, Dropped | Gap):
                    found.append(msgspec.to_builtins(frame))
                elif isinstance(frame, Lost):
                    raise CouldNotLook(frame.why, hint="ask again; exai monitor export keeps what it has")
    except TimeoutError:
        raise CouldNotLook(f"the daemon at {target.url} did not send all within {WHOLE_S:g} s") from None
    raise AssertionError("a feed has no end")
