"""A daemon without a socket: real store, real simulator, real providers, tools that obey a test."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from exai_ops.daemon import protocol
from exai_ops.daemon.core import Daemon
from exai_ops.daemon.protocol import CallTool
from exai_ops.daemon.sessions import Session
from exai_ops.errors import StorageError, ToolError
from exai_ops.monitor.recorder import Monitor
from exai_ops.providers.router import Providers
from exai_ops.providers.simulator import SimulatorServer, running_simulator
from exai_ops.settings import Settings
from exai_ops.storage.contract import Storage
from exai_ops.storage.sqlite import SQLiteStorage
from exai_ops.tools.api import Tool, ToolContext, ToolResult, tool
from exai_ops.tools.registry import Registry, load_tools

Frame = dict[str, Any]
SOON_S = 5.0


class Line:
    """A client's connection: keeps what it is sent, in order. ``gate`` lets it take nothing for a while."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.closed: tuple[int, str] | None = None
        self.blocked_since: float | None = None
        self.aborted: str | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._held: list[str] = []
        self._changed = asyncio.Event()

    @property
    def unsent(self) -> bool:
        return bool(self._held)

    def hold(self, frame: str) -> None:
        self._held.append(frame)

    async def send(self, frame: str) -> None:
        self.hold(frame)
        await self.flush()

    async def flush(self) -> None:
        held, self._held = self._held, []
        self.frames += [json.loads(frame.encode("utf-8")) for frame in held]
        self._changed.set()
        await self.gate.wait()

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def abort(self, why: str) -> None:
        self.aborted = why

    def of(self, request_id: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.get("request_id") == request_id]

    def ops(self, request_id: str = "r1") -> list[str]:
        return [frame["op"] for frame in self.of(request_id)]

    def deltas(self, request_id: str = "r1") -> list[str]:
        """The pieces so far, whose numbers must count from 0 without gaps."""
        pieces = [frame for frame in self.of(request_id) if frame["op"] == "stream"]
        assert [piece["seq"] for piece in pieces] == list(range(len(pieces)))
        return [piece["delta"] for piece in pieces]

    def results(self, request_id: str = "r1") -> list[Frame]:
        return [frame for frame in self.of(request_id) if frame["op"] == "call_tool_res"]

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(SOON_S):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    async def result(self, request_id: str = "r1", nth: int = 1) -> Frame:
        await self.until(lambda: len(self.results(request_id)) >= nth)
        return self.results(request_id)[nth - 1]

    async def text(self, request_id: str = "r1", nth: int = 1) -> str:
        result = await self.result(request_id, nth)
        assert "error" not in result, result
        assert result["outputs"] == [{"type": "text", "text": result["text"]}]
        return str(result["text"])

    async def error(self, request_id: str = "r1", nth: int = 1) -> Frame:
        result = await self.result(request_id, nth)
        assert "text" not in result
        assert "outputs" not in result
        error: Frame = result["error"]
        assert "Traceback" not in json.dumps(error)
        return error


class House:
    """The daemon, a session and its line."""

    def __init__(self, daemon: Daemon, sim: SimulatorServer, tasks: asyncio.TaskGroup) -> None:
        self.daemon = daemon
        self.sim = sim
        self.tasks = tasks
        self.dispatcher = daemon.dispatcher
        self.ledger = daemon.ledger
        self.line = Line()
        self.session: Session

    async def join(self, line: Line, **hello: Any) -> Session:
        session = await self.daemon.enter(line, protocol.Hello(**hello))
        assert isinstance(session, Session), session
        return session

    def call(
        self,
        name: str,
        request_id: str = "r1",
        *,
        session: Session | None = None,
        line: Line | None = None,
        stream: bool = False,
        detach: bool = False,
        **arguments: Any,
    ) -> None:
        message = CallTool(request_id, name, arguments, stream=stream, detach=detach)
        self.dispatcher.submit(session or self.session, line or self.line, message)

    def cancel(
        self, request_id: str = "r1", *, session: Session | None = None, line: Line | None = None
    ) -> None:
        self.dispatcher.cancel(session or self.session, line or self.line, request_id)

    def fetch(
        self, request_id: str = "r1", *, session: Session | None = None, line: Line | None = None
    ) -> None:
        self.dispatcher.fetch(session or self.session, line or self.line, request_id)

    async def idle(self) -> None:
        async with asyncio.timeout(SOON_S):
            await self.dispatcher.idle()

    async def upstream(self, **least: int) -> None:
        """Wait, a second at most, until the simulator has counted so many requests."""
        assert await self.sim.state.wait(timeout_s=1.0, provider=None, **least), self.sim.state.counts

    def events(self, error: str) -> list[Any]:
        return [event for event in self.daemon.monitor.recent() if event.error == error]


async def turns(n: int = 20) -> None:
    """Let every task that can run do so."""
    for _ in range(n):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def open_house(
    folder: Path, tools: Iterable[Tool] = (), *, storage: Storage | None = None, **fields: Any
) -> AsyncIterator[House]:
    """A house that must be empty and whole when it is left."""
    settings = Settings(state_dir=folder, **fields)
    monitor = Monitor()
    store = storage or SQLiteStorage(settings.database)
    await store.open()
    try:
        async with (
            running_simulator() as sim,
            Providers(settings, record=monitor.record, simulated_base_url=sim.base_url) as providers,
            asyncio.TaskGroup() as tasks,
        ):
            daemon = Daemon(
                settings,
                storage=store,
                providers=providers,
                registry=Registry([*load_tools(), *tools]),
                monitor=monitor,
                simulated=True,
            )
            daemon.dispatcher.start(tasks)
            daemon.state = "ready"
            house = House(daemon, sim, tasks)
            house.session = await house.join(house.line)
            yield house
            await house.idle()
            assert house.ledger.broken() == []
            assert (house.ledger.held, house.ledger.waiting, house.ledger.entries) == (0, 0, {})
            assert house.dispatcher.running == []
            assert all(not session.calls for session in daemon.sessions)
    finally:
        await store.close()


class Bench:
    """Tools that do what a test wants, and what they saw."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.started: list[str] = []
        self.ended: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.deferred: list[Awaitable[None]] = []

    def tools(self) -> list[Tool]:
        """``wait``, ``quick``, ``say``, ``fail``, ``stubborn``, ``late``, ``ask``."""
        bench = self

        @tool(description="Waits to be let go.", needs_provider=False)
        async def wait(ctx: ToolContext, *, text: str = "done") -> ToolResult:
            bench.started.append(ctx.request_id)
            bench.at_once += 1
            bench.most_at_once = max(bench.at_once, bench.most_at_once)
            try:
                await bench.go.wait()
            finally:
                bench.at_once -= 1
                bench.ended.append(ctx.request_id)
            return ToolResult(text=text)

        @tool(description="Answers from memory.", needs_provider=False, needs_permit=False)
        async def quick(ctx: ToolContext) -> ToolResult:
            return ToolResult(text="quick")

        @tool(description="Says pieces; lets go of the loop after each.", needs_provider=False)
        async def say(ctx: ToolContext, *, pieces: list[str], then_wait: bool = False) -> ToolResult:
            bench.started.append(ctx.request_id)
            for piece in pieces:
                await ctx.emit(piece)
                await asyncio.sleep(0)
            if then_wait:
                await bench.go.wait()
            return ToolResult(text="".join(pieces), structured={"n": len(pieces)}, metadata={"kind": "said"})

        @tool(description="Ends badly.", needs_provider=False)
        async def fail(ctx: ToolContext, *, how: str) -> ToolResult:
            raise FAILURES[how]

        @tool(description="Awaits something of its own that was cancelled.", needs_provider=False)
        async def lost(ctx: ToolContext) -> ToolResult:
            inner: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            inner.cancel()
            await inner
            return ToolResult(text="not reached")

        @tool(description="Takes no cancellation.", needs_provider=False)
        async def stubborn(ctx: ToolContext) -> ToolResult:
            bench.started.append(ctx.request_id)
            with contextlib.suppress(asyncio.CancelledError):
                await bench.go.wait()
            return ToolResult(text="stayed")

        @tool(description="Defers what the test gave it.", needs_provider=False)
        async def late(ctx: ToolContext) -> ToolResult:
            for write in bench.deferred:
                ctx.defer(write)
            return ToolResult(text="answered")

        @tool(description="Answers what no frame can carry.", needs_provider=False)
        async def strange(ctx: ToolContext) -> ToolResult:
            return ToolResult(text="x", structured={"a": object()})

        return [wait, quick, say, fail, lost, stubborn, late, strange]


FAILURES: dict[str, BaseException] = {
    "defect": RuntimeError("detail for the log"),
    "tool error": ToolError("cannot do that", hint="do this"),
    "surrogate": ToolError("no file \udc80"),
    "own timeout": TimeoutError("the tool's own"),
    "exit": SystemExit(3),
}


class Spoilt:
    """A store of which chosen methods fail, or wait for the test first."""

    def __init__(self, inner: Storage) -> None:
        self.inner = inner
        self.failing: set[str] = set()
        self.gates: dict[str, asyncio.Event] = {}
        self.asked: list[str] = []
        self._changed = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not callable(found) or name in ("open", "close"):
            return found

        async def spoilt(*args: Any, **kwargs: Any) -> Any:
            self.asked.append(name)
            self._changed.set()
            if name in self.gates:
                await self.gates[name].wait()
            if name in self.failing:
                raise StorageError("the disk is full", hint="make room")
            return await found(*args, **kwargs)

        return spoilt

    def gate(self, name: str) -> asyncio.Event:
        """From now on the method waits until the event is set."""
        self.gates[name] = asyncio.Event()
        return self.gates[name]

    async def until_asked(self, name: str, times: int = 1) -> None:
        async with asyncio.timeout(SOON_S):
            while self.asked.count(name) < times:
                self._changed.clear()
                await self._changed.wait()


def spoilt(folder: Path) -> Any:
    """A real store that a test can spoil; Any, because it makes its methods up."""
    return Spoilt(SQLiteStorage(folder / "spoilt.sqlite3"))
