"""Tools as another package may offer them, good and bad."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from pathlib import Path

from exai_ops.tools.api import ToolContext, tool


def _say(word: str) -> None:
    """What the tests wait for."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


@tool(description="Blocks the event loop in one long sleep.", needs_provider=False)
async def freeze(ctx: ToolContext, *, seconds: float) -> str:
    _say("frozen")
    time.sleep(seconds)  # noqa: ASYNC251 - what the tests need is this very defect
    return "thawed"


@tool(description="Blocks the event loop in byte code.", needs_provider=False)
async def spin(ctx: ToolContext, *, seconds: float) -> str:
    _say("frozen")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return "thawed"


@tool(description="Swallows its cancellation and goes on until a file exists.", needs_provider=False)
async def stubborn(ctx: ToolContext, *, until: str) -> str:
    while not Path(until).exists():  # noqa: ASYNC240 - a stat
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            _say("swallowed")
    return "done in my own time"


@tool(description="Fails by a bug.", needs_provider=False)
async def crash(ctx: ToolContext, *, word: str = "") -> str:
    raise ZeroDivisionError(f"a detail that is for the log alone: {word}")


@tool(description="Blocks the event loop in C code that lets other threads run.", needs_provider=False)
async def grind(ctx: ToolContext, *, seconds: float) -> str:
    _say("frozen")
    hashlib.pbkdf2_hmac("sha256", b"", b"", int(2_000_000 * seconds))
    return "thawed"
