"""MCP over streamable HTTP, spoken to by the SDK's own client, in both of its eras."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, MCPError
from mcp_types import CallToolResult, TextContent

from exai_ops.daemon import mcp as lazy
from exai_ops.providers.simulator import parse_fault
from exai_ops.settings import Secret

from .mcp_daemon import Running, running_daemon

ERAS = ("legacy", "2026-07-28")
ACCEPT = {"accept": "application/json, text/event-stream"}
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "raw", "version": "1"},
}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_daemon(tmp_path) as running:
        yield running


@pytest.fixture(params=ERAS)
async def client(request: pytest.FixtureRequest, running: Running) -> AsyncIterator[Client]:
    """In a task of its own: the SDK's client must be left by the task that entered it."""
    opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def hold() -> None:
        async with Client(running.url, mode=request.param) as client:
            opened.set_result(client)
            await over.wait()

    holding = asyncio.create_task(hold())
    ends: list[asyncio.Future[Any]] = [opened, holding]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    yield opened.result()
    over.set()
    await holding


def texts(result: CallToolResult) -> list[str]:
    return [block.text for block in result.content if isinstance(block, TextContent)]


async def test_it_lists_the_tools_of_the_registry(client: Client, running: Running) -> None:
    listed = await client.list_tools()
    assert [
        {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
        for tool in listed.tools
    ] == running.daemon.dispatcher.registry.describe()


async def test_a_chat_goes_on_by_the_id_in_its_last_block(client: Client) -> None:
    first = await client.call_tool("chat", {"prompt": "remember the number 41"})
    answer, last = texts(first)
    assert "remember the number 41" in answer
    assert first.meta is not None
    conversation = first.meta["continuation_id"]
    assert last == f"continuation_id: {conversation} (39 turns remain)"
    second = await client.call_tool("chat", {"prompt": "which?", "continuation_id": conversation})
    assert 'You said first: "remember the number 41".' in texts(second)[0]


async def test_structured_output_is_structured_content(client: Client) -> None:
    result = await client.call_tool("consult", {"content": "first this, then that"})
    assert not result.is_error
    assert "verdict" in result.structured_content


@pytest.mark.parametrize(
    ("tool", "arguments", "text"),
    [
        ("nosuch", {}, "TOOL_NOT_FOUND: no tool is named nosuch"),
        ("chat", {"prompt": 3}, "EXEC_ERROR: prompt: "),
        ("chat", {"prompt": "x", "model": "gpt-9"}, "EXEC_ERROR: "),
    ],
)
async def test_a_refusal_is_a_result_that_the_model_reads(
    client: Client, tool: str, arguments: dict[str, Any], text: str
) -> None:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert texts(result)[0].startswith(text)
    assert result.meta is not None
    assert text.startswith(result.meta["error"]["code"])


async def test_the_old_suffix_of_a_name_is_stripped(client: Client) -> None:
    result = await client.call_tool("version_EXAI-WS", {})
    assert not result.is_error


async def test_while_draining_it_is_over_capacity(client: Client, running: Running) -> None:
    running.daemon.dispatcher.draining = True
    result = await client.call_tool("chat", {"prompt": "too late"})
    assert texts(result) == ["OVER_CAPACITY: the daemon is stopping (retry after 1 s)"]
    assert result.meta is not None
    assert result.meta["error"]["retry_after"] == 1


async def test_progress_is_the_stream_for_who_asked_for_it(client: Client) -> None:
    seen: list[tuple[float, str]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, message or ""))

    result = await client.call_tool("chat", {"prompt": "stream this"}, progress_callback=note)
    counts = [count for count, _ in seen]
    assert counts == sorted(set(counts))
    assert seen[0][1].startswith("accepted")
    assert "".join(message for _, message in seen[1:]) == texts(result)[0]


async def test_without_a_progress_token_nothing_is_streamed(client: Client, running: Running) -> None:
    await client.call_tool("chat", {"prompt": "in one piece"})
    assert not running.sim.seen[-1].stream


async def test_concurrent_calls_get_their_own_answers(client: Client) -> None:
    words = [f"word{number}" for number in range(20)]
    results = await asyncio.gather(*(client.call_tool("chat", {"prompt": word}) for word in words))
    for word, result in zip(words, results, strict=True):
        assert f'"{word}"' in texts(result)[0]


async def test_cancelling_closes_the_upstream_request(client: Client, running: Running) -> None:
    running.sim.set_fault("kimi", parse_fault("stall=30"))
    call = asyncio.create_task(client.call_tool("chat", {"prompt": "never mind"}))
    assert await running.sim.wait(timeout_s=5, in_flight=1)
    call.cancel()
    await asyncio.wait({call})
    assert await running.sim.wait(timeout_s=1, aborted=1)
    await asyncio.wait_for(running.daemon.dispatcher.idle(), 1)
    assert running.daemon.ledger.held == 0


async def test_a_client_is_one_session_and_takes_it_along(running: Running) -> None:
    running.sim.set_fault("kimi", parse_fault("stall=30"))
    for era in ERAS:
        running.sim.reset_requests()
        async with Client(running.url, mode=era) as one, Client(running.url, mode=era) as other:
            calls = [asyncio.create_task(who.call_tool("chat", {"prompt": "?"})) for who in (one, one, other)]
            assert await running.sim.wait(timeout_s=5, in_flight=3)
            sessions = {call.session_id for call in running.daemon.dispatcher.running}
            # Without sessions, clients from one place with one name share one.
            assert len(sessions) == len(running.daemon.sessions) == (2 if era == "legacy" else 1)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
        assert await running.sim.wait(timeout_s=5, aborted=3)
        await asyncio.wait_for(running.daemon.dispatcher.idle(), 1)
        running.daemon.sessions.prune(time.time(), ttl_s=600)
        assert len(running.daemon.sessions) == 0


async def rpc(http: httpx.AsyncClient, url: str, method: str, params: Any, **headers: str) -> httpx.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return await http.post(url, json=body, headers=ACCEPT | headers)


async def test_a_request_that_is_closed_is_a_call_that_is_cancelled(running: Running) -> None:
    running.sim.set_fault("kimi", parse_fault("stall=30"))
    async with httpx.AsyncClient(trust_env=False) as http:
        opened = await rpc(http, running.url, "initialize", INITIALIZE)
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        params = {"name": "chat", "arguments": {"prompt": "gone"}}
        call = asyncio.create_task(rpc(http, running.url, "tools/call", params, **session))
        assert await running.sim.wait(timeout_s=5, in_flight=1)
        call.cancel()
        await asyncio.wait({call})
        assert await running.sim.wait(timeout_s=1, aborted=1)
        # The MCP session lives on, and its session here with it.
        assert (await rpc(http, running.url, "tools/list", {}, **session)).status_code == 200
        assert len(running.daemon.sessions) == 1
        assert (await http.delete(running.url, headers=session)).status_code == 200
    assert len(running.daemon.sessions) == 0


async def test_a_session_is_not_anybodys_to_name(running: Running) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await rpc(http, running.url, "tools/list", {}, **{"mcp-session-id": "made-up"})
    assert answer.status_code == 404
    assert len(running.daemon.sessions) == 0


async def test_the_token_is_asked_for(tmp_path: Path) -> None:
    async with (
        running_daemon(tmp_path, ws_token=Secret("the-token")) as running,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        assert (await rpc(http, running.url, "initialize", INITIALIZE)).status_code == 401
        shown = await rpc(http, running.url, "initialize", INITIALIZE, authorization="Bearer the-token")
        assert shown.status_code == 200


async def test_open_streams_do_not_hold_up_the_end(tmp_path: Path) -> None:
    async with running_daemon(tmp_path) as running:
        client = Client(running.url, mode="legacy")
        await client.__aenter__()
        await client.list_tools()
        async with asyncio.timeout(1):
            for close in running.daemon.closers:
                await close()
        with pytest.raises(MCPError):
            await client.list_tools()
        await client.__aexit__(None, None, None)


async def test_the_sdk_is_imported_once_by_the_first_requests(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported: list[str] = []

    def counted(name: str) -> Any:
        imported.append(name)
        return importlib.import_module(name)

    monkeypatch.setattr(lazy, "importlib", type("counting", (), {"import_module": staticmethod(counted)}))
    async with httpx.AsyncClient(trust_env=False) as http:
        answers = await asyncio.gather(*(rpc(http, running.url, "initialize", INITIALIZE) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert imported == ["exai_ops.daemon.mcp_endpoint"]


async def test_a_failed_start_is_said_and_tried_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> Any:
        raise ImportError(name)

    async with httpx.AsyncClient(trust_env=False) as http:
        with monkeypatch.context() as patch:
            patch.setattr(lazy, "importlib", type("broken", (), {"import_module": staticmethod(broken)}))
            assert (await rpc(http, running.url, "initialize", INITIALIZE)).status_code == 503
        assert (await rpc(http, running.url, "initialize", INITIALIZE)).status_code == 200


def test_a_daemon_without_mcp_clients_does_without_the_sdk() -> None:
    code = "import sys, exai_ops.daemon.lifecycle, exai_ops.daemon.mcp; assert 'mcp' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], timeout=30, check=True)
