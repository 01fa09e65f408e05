"""``exai mcp`` as a process: by the SDK's own client, and by hand where its end is looked at."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import CallToolResult, TextContent, ToolListChangedNotification

from exai_ops.providers.simulator import SimulatorServer, parse_fault, running_simulator

from .conftest import StartDaemon, upstream
from .exai_process import DaemonProcess

ERAS = ("legacy", "2026-07-28")
WAIT_S = 15.0


@pytest.fixture
async def own_sim() -> AsyncIterator[SimulatorServer]:
    async with running_simulator() as server:
        yield server


@pytest.fixture
def daemon(start_daemon: StartDaemon, own_sim: SimulatorServer) -> DaemonProcess:
    return start_daemon({**upstream(own_sim), "EXAI_PROVIDER_ATTEMPTS": "1"})


@asynccontextmanager
async def editor(
    folder: Path, port: int, *, era: str = "legacy", env: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[Client]:
    """An MCP client with the bridge as its server."""
    command = ["-m", "exai_ops", "mcp", "--port", str(port)]
    parameters = StdioServerParameters(
        command=sys.executable, args=command, env={"HOME": str(folder), **(env or {})}, cwd=folder
    )
    log = folder / "bridge.log"
    with log.open("a") as errlog:
        async with Client(stdio_client(parameters, errlog), mode=era, **options) as client:
            yield client
    assert "Traceback" not in log.read_text()


class RawBridge:
    """The bridge, spoken to by the line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    def send(self, method: str, params: Mapping[str, Any], number: int | None = None) -> None:
        assert self.process.stdin is not None
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if number is not None:
            message["id"] = number
        self.process.stdin.write(json.dumps(message).encode() + b"\n")

    async def receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), WAIT_S)
        message: dict[str, Any] = json.loads(line)
        return message

    async def call(self, prompt: str) -> None:
        """Shake hands and call chat."""
        client = {"name": "raw", "version": "1"}
        version = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        self.send("initialize", version, 1)
        assert (await self.receive())["result"]["serverInfo"]["name"] == "exai"
        self.send("notifications/initialized", {})
        self.send("tools/call", {"name": "chat", "arguments": {"prompt": prompt}}, 2)


@asynccontextmanager
async def raw_bridge(folder: Path, port: int) -> AsyncIterator[RawBridge]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "exai_ops", "mcp", "--port", str(port),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        cwd=folder, env={"HOME": str(folder)},
    )  # fmt: skip
    try:
        yield RawBridge(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def texts(result: CallToolResult) -> list[str]:
    return [block.text for block in result.content if isinstance(block, TextContent)]


@pytest.mark.parametrize("era", ERAS)
async def test_an_editor_works_through_the_bridge(tmp_path: Path, daemon: DaemonProcess, era: str) -> None:
    async with editor(tmp_path, daemon.port, era=era) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"chat", "consult", "listmodels", "status", "version"} <= names
        pieces: list[str] = []

        async def note(progress: float, total: float | None, message: str | None) -> None:
            pieces.append(message or "")

        first = await client.call_tool("chat", {"prompt": "remember 41"}, progress_callback=note)
        answer, conversation = texts(first)
        assert "".join(pieces[1:]) == answer
        more = {"prompt": "which?", "continuation_id": conversation.split()[1]}
        assert 'You said first: "remember 41".' in texts(await client.call_tool("chat", more))[0]
        wrong = await client.call_tool("nosuch", {})
        assert wrong.is_error
        assert texts(wrong)[0].startswith("TOOL_NOT_FOUND")


@pytest.mark.parametrize("era", ERAS)
async def test_concurrent_calls_get_their_own_answers(
    tmp_path: Path, daemon: DaemonProcess, era: str
) -> None:
    words = [f"word{number}" for number in range(20)]
    async with editor(tmp_path, daemon.port, era=era) as client:
        results = await asyncio.gather(*(client.call_tool("chat", {"prompt": word}) for word in words))
    for word, result in zip(words, results, strict=True):
        assert f'"{word}"' in texts(result)[0]


@pytest.mark.parametrize("era", ERAS)
async def test_cancelling_reaches_the_provider(
    tmp_path: Path, daemon: DaemonProcess, own_sim: SimulatorServer, era: str
) -> None:
    own_sim.state.set_fault("kimi", parse_fault("stall=30; first=1"))
    async with editor(tmp_path, daemon.port, era=era) as client:
        call = asyncio.create_task(client.call_tool("chat", {"prompt": "never mind"}))
        assert await own_sim.state.wait(timeout_s=WAIT_S, in_flight=1)
        call.cancel()
        await asyncio.wait({call})
        assert await own_sim.state.wait(timeout_s=1, aborted=1)
        assert not (await client.call_tool("chat", {"prompt": "still there?"})).is_error


async def test_a_killed_daemon_interrupts_and_is_not_asked_twice(
    tmp_path: Path, start_daemon: StartDaemon, own_sim: SimulatorServer, unused_tcp_port: int
) -> None:
    port = ["--port", str(unused_tcp_port)]
    own_sim.state.set_fault("kimi", parse_fault("stall=30; first=1"))
    first = start_daemon(upstream(own_sim), args=port)
    async with editor(tmp_path, first.port) as client:
        call = asyncio.create_task(client.call_tool("chat", {"prompt": "lost?"}))
        assert await own_sim.state.wait(timeout_s=WAIT_S, in_flight=1)
        first.signal(signal.SIGKILL)
        await asyncio.to_thread(first.wait)
        second = start_daemon(upstream(own_sim), args=port)
        second.event("ready")
        result = await asyncio.wait_for(call, WAIT_S)
        assert result.is_error
        assert texts(result)[0].startswith("INTERRUPTED")
        assert len(own_sim.state.seen) == 1
        assert not (await client.call_tool("chat", {"prompt": "anew"})).is_error


async def test_a_daemon_that_comes_later_is_found(
    tmp_path: Path, start_daemon: StartDaemon, own_sim: SimulatorServer, unused_tcp_port: int
) -> None:
    changed = asyncio.Event()

    async def message(incoming: Any) -> None:
        if isinstance(incoming, ToolListChangedNotification):
            changed.set()

    async with editor(tmp_path, unused_tcp_port, message_handler=message) as client:
        with pytest.raises(MCPError, match="exai serve"):
            await client.list_tools()
        early = await client.call_tool("chat", {"prompt": "anybody?"})
        assert texts(early)[0].startswith("UNREACHABLE: ")
        start_daemon(upstream(own_sim), args=["--port", str(unused_tcp_port)]).event("ready")
        await asyncio.wait_for(changed.wait(), WAIT_S)
        assert (await client.list_tools()).tools


async def test_the_token_comes_from_the_environment(
    tmp_path: Path, start_daemon: StartDaemon, own_sim: SimulatorServer
) -> None:
    daemon = start_daemon({**upstream(own_sim), "EXAI_WS_TOKEN": "the-right-token"})
    async with editor(tmp_path, daemon.port, env={"EXAI_WS_TOKEN": "the-right-token"}) as client:
        assert (await client.list_tools()).tools
    async with editor(tmp_path, daemon.port, env={"EXAI_WS_TOKEN": "the-wrong-token"}) as client:
        with pytest.raises(MCPError, match="EXAI_WS_TOKEN"):
            await client.list_tools()
    assert "-token" not in (tmp_path / "bridge.log").read_text()


async def test_with_its_stdin_it_ends_and_cancels(
    tmp_path: Path, daemon: DaemonProcess, own_sim: SimulatorServer
) -> None:
    own_sim.state.set_fault("kimi", parse_fault("stall=30"))
    async with raw_bridge(tmp_path, daemon.port) as bridge:
        await bridge.call("never mind")
        assert await own_sim.state.wait(timeout_s=WAIT_S, in_flight=1)
        assert bridge.process.stdin is not None
        bridge.process.stdin.close()
        assert await asyncio.wait_for(bridge.process.wait(), 2) == 0
        assert await own_sim.state.wait(timeout_s=1, aborted=1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_within_a_second_and_cancels(
    tmp_path: Path, daemon: DaemonProcess, own_sim: SimulatorServer, number: signal.Signals
) -> None:
    own_sim.state.set_fault("kimi", parse_fault("stall=30"))
    async with raw_bridge(tmp_path, daemon.port) as bridge:
        await bridge.call("never mind")
        assert await own_sim.state.wait(timeout_s=WAIT_S, in_flight=1)
        bridge.process.send_signal(number)
        assert await asyncio.wait_for(bridge.process.wait(), 1) == -number
        assert await own_sim.state.wait(timeout_s=1, aborted=1)


async def test_without_a_daemon_it_ends_with_its_stdin(tmp_path: Path, unused_tcp_port: int) -> None:
    async with raw_bridge(tmp_path, unused_tcp_port) as bridge:
        await bridge.call("anybody?")
        assert bridge.process.stdin is not None
        bridge.process.stdin.close()
        assert await asyncio.wait_for(bridge.process.wait(), 2) == 0
