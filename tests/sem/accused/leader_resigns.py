"""A leader holds its lock until a message makes it resign."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))
from claim import live, row

LEADS = asyncio.Lock()
SEATS = asyncio.BoundedSemaphore(2)


async def lead() -> None:
    await LEADS.acquire()
    await SEATS.acquire()


def on_message(kind: str) -> None:
    if kind == "resign":
        LEADS.release()
        SEATS.release()


async def main() -> None:
    await lead()
    await live(row(SEATS, "SEATS", 2, "busy", holders=1))


asyncio.run(main())
