"""A client of the old daemon, unchanged: the same frames, the same names, in the same order."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest

from .conftest import Simulator
from .exai_process import DaemonProcess
from .ws_client import error_code, joined

DEEP = (
    '{"op":"call_tool","request_id":"a","name":"chat","arguments":{"a":' + "[" * 90_000 + "]" * 90_000 + "}}"
)
OLD_HEALTH = {"t", "uptime_human", "sessions", "global_capacity", "tool_count"}


@pytest.mark.parametrize("path", ["/", "/ws"])
async def test_hello_and_list_tools(daemon: DaemonProcess, path: str) -> None:
    async with joined(daemon.address, path) as client:
        assert set(client.ack) == {"op", "ok", "session_id"}
        assert uuid.UUID(client.session_id)
        await client.send("list_tools")
        listed = await client.op("list_tools_res")
    tools = {tool["name"]: tool for tool in listed["tools"]}
    assert {"chat", "consult", "listmodels", "version", "status"} <= set(tools)
    assert all(set(tool) == {"name", "description", "inputSchema"} for tool in tools.values())
    assert tools["chat"]["inputSchema"]["required"] == ["prompt"]


@pytest.mark.parametrize("suffix", ["", "_EXAI-WS", "-EXAI-WS", "_EXAI_WS", "-EXAI_WS"])
async def test_the_frames_of_a_call_in_order(daemon: DaemonProcess, sim: Simulator, suffix: str) -> None:
    sim.faults(all="latency=0.4")
    async with joined(daemon.address) as client:
        await client.start("r1", f"chat{suffix}", {"prompt": "hello"})
        result = await client.result("r1")
        first, ack, *later = client.frames[1:]
    assert first["op"] == "progress"
    assert set(first) == {"op", "request_id", "name", "t", "note"}
    assert first["note"] == "accepted, awaiting provider/session capacity"
    assert ack == {
        "op": "call_tool_ack", "request_id": "r1", "accepted": True, "timeout": 180, "name": "chat"
    }  # fmt: skip
    assert [frame["op"] for frame in later[:-1]] == ["progress"] * (len(later) - 1)
    assert len(later) >= 3
    assert later[-1] is result
    assert result["text"].endswith('turn 1. You now say: "hello".')
    assert result["outputs"] == [{"type": "text", "text": result["text"]}]
    assert all(frame["request_id"] == "r1" for frame in client.frames[1:])


async def test_health_answers_at_once_whatever_runs(daemon: DaemonProcess, sim: Simulator) -> None:
    sim.faults(all="stall=30")
    async with joined(daemon.address) as client:
        for n in range(8):
            await client.accepted(f"r{n}", "chat", {"prompt": "long", "model": "kimi" if n < 5 else "glm"})
        health = await client.health(timeout_s=1)
        assert set(health) >= OLD_HEALTH
        assert health["inflight"] == 8
        assert health["global_capacity"] == 24
        assert not any(frame["op"] == "call_tool_res" for frame in client.frames)


async def test_the_calls_of_a_connection_run_concurrently(daemon: DaemonProcess, sim: Simulator) -> None:
    """The old daemon ran one at a time; here all eight are at the provider together."""
    sim.faults(all="stall=30")
    async with joined(daemon.address) as client:
        for n in range(8):
            await client.start(f"r{n}", "chat", {"prompt": "x", "model": "kimi" if n < 5 else "glm"})
        assert await asyncio.to_thread(sim.reached, in_flight=8)
        await client.start("r9", "chat", {"prompt": "x", "model": "glm"})
        assert (await client.op("progress", "r9"))["note"].startswith("accepted, awaiting")
        await client.send("cancel", request_id="r0")
        assert (await client.op("call_tool_ack", "r9"))["accepted"]


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ('{"op":"dance"}', "Unknown op: dance"),
        ('{"op":"health"', "invalid_json"),
        ("not json", "invalid_json"),
        ("", "invalid_json"),
        ("[1, 2]", "invalid_message"),
        ("null", "invalid_message"),
        ('{"no":"op"}', "op"),
        ('{"op":7}', "op"),
        ('{"op":"call_tool","name":"chat"}', "request_id"),
        ('{"op":"call_tool","request_id":"a"}', "name"),
        ('{"op":"call_tool","request_id":7,"name":"chat"}', "request_id"),
        ('{"op":"call_tool","request_id":"","name":"chat"}', "request_id"),
        ('{"op":"call_tool","request_id":"a","name":"chat","arguments":[]}', "arguments"),
        ('{"op":"call_tool","request_id":"a","name":"chat","stream":"yes"}', "stream"),
        ('{"op":"cancel"}', "request_id"),
        ('{"op":"hello"}', "hello"),
        ("[" * 100_000, "invalid_message"),
        (DEEP, "nested"),
    ],
)
async def test_bad_messages_are_answered_and_the_connection_lives(
    daemon: DaemonProcess, sent: str, answer: str
) -> None:
    async with joined(daemon.address) as client:
        await client.socket.send(sent)
        error = await client.op("error")
        assert answer in error["message"]
        assert (await client.call("after", "version"))["text"]


async def test_bad_utf8_and_binary_frames(daemon: DaemonProcess) -> None:
    async with joined(daemon.address) as client:
        await client.socket.send(b'{"op":"health"}')
        assert (await client.op("health_res"))["ok"]
        await client.socket.send(b'{"op":"\xff\xfe"}')
        assert (await client.op("error"))["message"] == "invalid_json"


@pytest.mark.parametrize(
    ("name", "arguments", "code", "words"),
    [
        ("chatt", {}, "TOOL_NOT_FOUND", "chat"),
        ("chat", {}, "EXEC_ERROR", "prompt"),
        ("chat", {"prompt": 7}, "EXEC_ERROR", "prompt"),
        ("chat", {"prompt": "x", "temperature": 9}, "EXEC_ERROR", "temperature"),
        ("chat", {"prompt": "x", "tempperature": 1}, "EXEC_ERROR", "tempperature"),
        ("chat", {"prompt": "x", "model": "gpt-9"}, "EXEC_ERROR", "gpt-9"),
        ("chat", {"prompt": "x", "continuation_id": "never"}, "EXEC_ERROR", "continuation_id"),
    ],
)
async def test_bad_calls_name_what_is_wrong(
    daemon: DaemonProcess, name: str, arguments: dict[str, object], code: str, words: str
) -> None:
    async with joined(daemon.address) as client:
        result = await client.call("r1", name, arguments)
    assert error_code(result) == code
    assert words in json.dumps(result["error"])
    assert "Traceback" not in json.dumps(result)


async def test_rotate_token_where_there_is_none(daemon: DaemonProcess) -> None:
    async with joined(daemon.address) as client:
        await client.send("rotate_token", old="", new="x")
        assert await client.op("rotate_token_res") == {
            "op": "rotate_token_res", "ok": False, "error": "missing_params"
        }  # fmt: skip
        await client.send("rotate_token", old="guess", new="next")
        assert (await client.op("rotate_token_res"))["error"] == "unauthorized"


async def test_a_result_is_replayed_by_its_request_id(daemon: DaemonProcess, sim: Simulator) -> None:
    async with joined(daemon.address) as client:
        first = await client.chat("r1", "once")
        assert await client.chat("r1", "once") == first
        assert error_code(await client.chat("r1", "something else")) == "DUPLICATE"
        assert await client.chat("r1", "once") == first
        assert sim.count("received") == 1
        async with joined(daemon.address) as other:
            mine = await other.chat("r1", "once")
            assert mine["metadata"]["continuation_id"] != first["metadata"]["continuation_id"]
        assert sim.count("received") == 2


async def test_the_same_words_in_two_sessions_are_two_calls(daemon: DaemonProcess, sim: Simulator) -> None:
    """The old daemon served one session another's answer."""
    async with joined(daemon.address) as one, joined(daemon.address) as two:
        a, b = await asyncio.gather(one.chat("r1", "same"), two.chat("r2", "same"))
        again = await one.chat("r3", "same")
    ids = {frame["metadata"]["continuation_id"] for frame in (a, b, again)}
    assert len(ids) == 3
    assert sim.count("received") == 3
