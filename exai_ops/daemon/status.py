"""How the daemon's state is shown: holders with their await stacks, durations in words."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from types import CoroutineType, FrameType, GeneratorType
from typing import Any, Final

from exai_ops.daemon.permits import Entry, Ledger

_DEEPEST: Final = 64


def human_duration(seconds: float) -> str:
    """``2d 3h``, ``1h 2m``, ``3m 4s``, ``5s``: the two largest units."""
    words: list[str] = []
    left = max(0, int(seconds))  # the clock may have been set back
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or (unit == "s" and not words):
            words.append(f"{count}{unit}")
    return " ".join(words[:2])


def holder_rows(ledger: Ledger) -> list[dict[str, Any]]:
    """The ledger's holders, oldest first, as data: who, where, since when, until when."""
    now = ledger.now()
    leaked = {entry.number: reason for entry, reason in ledger.leaks()}
    return [_holder(entry, now, leaked.get(entry.number)) for entry in ledger.holders()]


def _holder(entry: Entry, now: float, leak: str | None) -> dict[str, Any]:
    return {
        "tool": entry.owner.tool,
        "session": entry.owner.session_id,
        "request": entry.owner.request_id,
        "provider": entry.provider,
        "site": f"{_short(entry.site[0])}:{entry.site[1]}",
        "awaits": await_stack(entry.task),
        "age_s": round(now - entry.taken_at, 3),
        "waited_s": round(entry.waited_s, 3),
        "deadline_in_s": round(entry.deadline - now, 3),
        "leak": leak,
    }


def await_stack(task: asyncio.Task[Any] | None) -> list[str]:
    """``file:line function`` of a task's await chain, outermost first; empty when it is done or running."""
    if task is None or task.done():
        return []
    frames = itertools.islice(_chain(task.get_coro()), _DEEPEST)
    return [f"{_short(f.f_code.co_filename)}:{f.f_lineno} {f.f_code.co_name}" for f in frames]


def _chain(awaited: Any) -> Iterator[FrameType]:
    while awaited is not None:
        if isinstance(awaited, CoroutineType):
            frame, awaited = awaited.cr_frame, awaited.cr_await
        elif isinstance(awaited, GeneratorType):
            frame, awaited = awaited.gi_frame, awaited.gi_yieldfrom
        else:
            return
        if frame is not None:
            yield frame


def _short(path: str) -> str:
    """The last three parts of a path: enough to find the file, nothing of the machine."""
    return "/".join(path.rsplit("/", 3)[-3:])
