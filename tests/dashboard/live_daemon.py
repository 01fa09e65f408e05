"""A daemon on a real port in a thread of its own, whose monitor the test holds in its hand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemon.daemon_parts import House, open_house

from exai_ops.daemon.guard import Receive, Scope, Send
from exai_ops.daemon.http import application
from exai_ops.daemon.lifecycle import bind, close_all
from exai_ops.daemon.permits import Owner
from exai_ops.daemon.server import server
from exai_ops.settings import Secret

SOON_S = 20.0


class LiveDaemon:
    """The daemon, from outside of its loop.

    Attributes:
        url: ``http://127.0.0.1:PORT``.
    """

    def __init__(self, house: House, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.house = house
        self.monitor = house.daemon.monitor
        self.url = f"http://127.0.0.1:{port}"
        self._loop = loop

    def record(self, function: str = "test", *, type_: str = "websocket", **fields: Any) -> None:
        """Record an event."""
        direction = fields.pop("direction", "receive")
        self.monitor.record(type_, direction, script_name="test.py", function_name=function, **fields)

    def call(self, request: str) -> str:
        """Make a call to its end; its session's id."""

        async def made() -> str:
            self.house.call("chat", request, prompt="Hello")
            await self.house.line.result(request)
            await self.house.idle()
            return self.house.session.id

        return str(self.run(made()))

    @contextmanager
    def held(self, request: str, tool: str, provider: str) -> Iterator[None]:
        """A permit that is held until the block ends."""
        done = asyncio.Event()
        taken = threading.Event()

        async def hold() -> None:
            owner = Owner("a-session", request, tool)
            async with self.house.ledger.hold(owner, provider):
                taken.set()
                await done.wait()

        holding = asyncio.run_coroutine_threadsafe(hold(), self._loop)
        try:
            assert taken.wait(SOON_S)
            yield
        finally:
            self._loop.call_soon_threadsafe(done.set)
            holding.result(SOON_S)

    def run(self, work: Any) -> Any:
        """Run a coroutine in the daemon's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SOON_S)


@contextmanager
def live_daemon(folder: Path, token: str = "") -> Iterator[LiveDaemon]:
    """A daemon until the block ends."""
    ready: list[LiveDaemon] = []
    failed: list[BaseException] = []
    begun, ended = threading.Event(), asyncio.Event()

    async def live() -> None:
        async with open_house(folder, ws_port=0) as house:
            settings = house.daemon.settings
            house.daemon.token = Secret(token)  # after the house's own session came in without
            with bind(settings) as listening:
                web = server(application(house.daemon, no_mcp), settings)
                serving = asyncio.create_task(web.serve(sockets=[listening]))
                await web.listening.wait()
                port = listening.getsockname()[1]
                ready.append(LiveDaemon(house, port, asyncio.get_running_loop()))
                begun.set()
                await ended.wait()
                await close_all(house.daemon)
                web.should_exit = True
                await serving

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            failed.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(SOON_S)
    try:
        if ready:
            yield ready[0]
            ready[0]._loop.call_soon_threadsafe(ended.set)
    finally:
        if ready and thread.is_alive():
            ready[0]._loop.call_soon_threadsafe(ended.set)
        thread.join(SOON_S)
    if failed:
        raise failed[0]


async def no_mcp(scope: Scope, receive: Receive, send: Send) -> None:
    """Nobody asks for it here."""
    raise NotImplementedError
