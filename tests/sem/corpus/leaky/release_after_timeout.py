"""The finally gives a permit back even when the wait for one timed out; meanwhile the true holders go on."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from claim import live, row, steady


class PrintServer:
    def __init__(self, printers: int) -> None:
        self.printers = asyncio.Semaphore(printers)
        self.timeouts = 0

    async def print_page(self, paper: asyncio.Event, patience_s: float) -> bool:
        try:
            await asyncio.wait_for(self.printers.acquire(), patience_s)
            await paper.wait()
            return True
        except (asyncio.TimeoutError, TimeoutError):
            self.timeouts += 1
            return False
        finally:
            self.printers.release()


async def main() -> None:
    server, paper = PrintServer(2), asyncio.Event()
    stuck = [asyncio.create_task(server.print_page(paper, 5)) for _ in range(2)]
    await asyncio.sleep(0)
    await server.print_page(paper, 0.01)
    await steady()
    held = sum(not task.done() for task in stuck)
    await live(
        row(server.printers, "PrintServer.printers", 2, "over-released", count=server.timeouts, holders=held),
    )


asyncio.run(main())
