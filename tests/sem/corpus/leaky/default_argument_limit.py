"""A limit as a default argument; a redirect is followed by recursion, and the outer call forgets its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row

PAGES = {"/": "/home", "/home": "", "/blog": "/posts", "/posts": "/posts/1", "/posts/1": ""}


async def visit(path: str, hops: int = 0, limit: asyncio.Semaphore = asyncio.Semaphore(7)) -> int:  # noqa: B008
    await limit.acquire()
    await asyncio.sleep(0)
    target = PAGES[path]
    if target:
        return await visit(target, hops + 1)
    limit.release()
    return hops


async def main() -> None:
    hops = [await visit(path) for path in ("/", "/home", "/blog")]
    defaults = visit.__defaults__
    assert defaults is not None
    await live(row(defaults[1], "visit.__defaults__", 7, "leaked", count=sum(hops)))


asyncio.run(main())
