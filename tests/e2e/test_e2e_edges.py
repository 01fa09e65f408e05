"""Odd frames, odd text, odd surroundings."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import stat
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from .conftest import Simulator, StartDaemon, urls
from .exai_process import DaemonProcess
from .ws_client import error_code, joined, raw, resuming

FEATURES = ["stream", "resume"]
ODD = ["\ud800", "a\x00b", "\u2028\u202e", "x" * 256, "💥", '"\\', "\x1b[31m"]


@pytest.mark.parametrize("text", ODD, ids=ascii)
async def test_odd_request_ids(daemon: DaemonProcess, text: str) -> None:
    """Served under that very id, or refused in words; the connection lives either way."""
    async with joined(daemon.address, features=FEATURES) as client:
        await client.start(text, "chat", {"prompt": "hello"})
        answer = await client.frame(lambda f: f["op"] in ("call_tool_res", "error"))
        assert answer["op"] == "error" or (answer["request_id"], error_code(answer)) == (text, None)
        await client.send("result", request_id=text)
        again = await client.frame(lambda f: f["op"] in ("call_tool_res", "error"))
        assert again["op"] == "error" or again == answer
        assert (await client.chat("after", "still there"))["text"]


@pytest.mark.parametrize("text", ODD, ids=ascii)
async def test_odd_prompts_tools_and_models(daemon: DaemonProcess, text: str) -> None:
    async with joined(daemon.address) as client:
        for n, arguments in enumerate(({"prompt": text}, {"prompt": "x", "model": text}, {text: "x"})):
            await client.start(f"r{n}", "chat", arguments)
            answer = await client.frame(lambda f: f["op"] in ("call_tool_res", "error"))
            assert answer["op"] == "error" or answer["request_id"] == f"r{n}"
        await client.start("r9", text)
        answer = await client.frame(lambda f: f["op"] in ("call_tool_res", "error"))
        assert answer["op"] == "error" or error_code(answer) == "TOOL_NOT_FOUND"
        assert await client.health()


async def test_fragments_count_together(start_daemon: StartDaemon) -> None:
    daemon = start_daemon({"EXAI_WS_MAX_BYTES": "4096"})
    async with joined(daemon.address) as client:
        await client.socket.send(['{"op":"hea', 'lth"', "}"])
        assert (await client.op("health_res"))["ok"]
        with contextlib.suppress(ConnectionClosed):
            await client.socket.send(["x" * 1000] * 20)
        assert (await client.closed())[0] == 1009
    async with joined(daemon.address) as client:
        assert await client.health()


async def test_text_that_is_no_utf8(daemon: DaemonProcess) -> None:
    """RFC 6455 section 8.1: 1007, and nothing in the log that looks like our fault."""
    async with joined(daemon.address) as client:
        await client.socket.send(b'{"op":"\xff"}', text=True)
        assert (await client.closed())[0] == 1007


async def test_half_a_hello(start_daemon: StartDaemon) -> None:
    """A frame that never ends is no hello; the deadline holds."""
    daemon = start_daemon({"EXAI_WS_HELLO_TIMEOUT": "0.4"})
    async with raw(daemon.address) as client:
        client.socket.transport.write(b"\x81\xfe\x01\x00\x00\x00\x00\x00{")  # announces 256 bytes, sends one
        assert (await client.op("hello_ack"))["error"] == "missing_hello"
        await client.drop()


async def test_secrets_are_hashed_in_the_store(start_daemon: StartDaemon, sim: Simulator) -> None:
    daemon = start_daemon({**urls(sim.base_url), "EXAI_WS_TOKEN": "a-token-of-the-tests"})
    async with joined(daemon.address, features=FEATURES, token="a-token-of-the-tests") as client:
        await client.chat("r1", "hello")
        secret = client.ack["resume"]
        again = {"session_id": client.session_id, "resume": secret}
        async with joined(daemon.address, token="a-token-of-the-tests", **again):
            pass
    assert await asyncio.to_thread(daemon.stop) == -signal.SIGTERM
    written = [path.read_bytes() for path in daemon.state_dir.rglob("*") if path.is_file()]
    for word in (secret, "a-token-of-the-tests", *(v for k, v in urls("").items() if k.endswith("KEY"))):
        assert all(word.encode() not in content for content in written)
        assert word not in daemon.stderr


async def test_the_state_is_for_its_owner_alone(start_daemon: StartDaemon, tmp_path: Path) -> None:
    """Conversations are private, also in a folder that was there before and under a lax umask."""
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        daemon = start_daemon()
    finally:
        os.umask(before)
    async with joined(daemon.address, features=FEATURES) as client:
        assert (await client.chat("r1", "private"))["text"]
    lax = {
        path.name: oct(path.stat().st_mode)
        for path in state.iterdir()
        if path.name.startswith("exai.sqlite3") and stat.S_IMODE(path.stat().st_mode) & 0o077
    }
    assert lax == {} or not stat.S_IMODE(state.stat().st_mode) & 0o077


async def test_a_drain_lets_a_stream_end_and_keeps_what_nobody_hears(
    start_daemon: StartDaemon, sim: Simulator
) -> None:
    sim.faults(all="chunks=20; size=200; pace=0.03")
    first = start_daemon(urls(sim.base_url))
    async with joined(first.address, features=FEATURES) as away:
        await away.accepted("kept", "chat", {"prompt": "nobody listens"}, detach=True)
        await away.drop()
    async with joined(first.address, features=FEATURES) as client:
        await client.start("r1", "chat", {"prompt": "x"}, stream=True)
        await client.op("stream", "r1")
        first.signal(signal.SIGTERM)
        result = await client.result("r1")
    pieces = [frame["delta"] for frame in client.frames if frame["op"] == "stream"]
    assert "".join(pieces) == result["text"]
    assert await asyncio.to_thread(first.wait) == -signal.SIGTERM
    second = start_daemon(urls(sim.base_url))
    async with joined(second.address, **resuming(away.ack)) as again:
        await again.send("result", request_id="kept")
        assert (await again.result("kept"))["text"]
    assert sim.count("received") == 2


async def test_the_semantic_cache_is_asked_for_and_per_session(
    start_daemon: StartDaemon, sim: Simulator
) -> None:
    daemon = start_daemon({**urls(sim.base_url), "EXAI_WS_SEMANTIC_CACHE": "true"})
    async with joined(daemon.address) as one, joined(daemon.address) as two:
        first = await one.chat("r1", "same")
        second = await one.chat("r2", "same")
        assert (second["text"], second["metadata"]["cached_from"]) == (first["text"], "r1")
        assert sim.count("received") == 1
        assert "cached_from" not in (await two.chat("r1", "same"))["metadata"]
        assert sim.count("received") == 2


@pytest.mark.parametrize("kind", ["a file", "a database that is none"])
async def test_a_state_folder_that_cannot_be_used(
    start_daemon: StartDaemon, tmp_path: Path, kind: str
) -> None:
    state = tmp_path / "state"
    if kind == "a file":
        state.write_text("in the way")
    else:
        state.mkdir()
        (state / "exai.sqlite3").write_bytes(b"no database at all, " * 1000)
    daemon = start_daemon()
    code = await asyncio.to_thread(daemon.wait)
    assert code in (1, 2)
    assert "Traceback" not in daemon.stderr
    assert "hint: " in daemon.stderr
    assert "exai: error: " in daemon.stderr


async def test_a_daemon_whose_log_nobody_reads(tmp_path: Path) -> None:
    """``exai serve 2>&1 | head -1``: the pipe breaks, the daemon serves on."""
    daemon = DaemonProcess(tmp_path, {"EXAI_LOG_LEVEL": "debug"})
    try:
        assert daemon.port
        reader = daemon.child.stderr
        assert reader is not None
        os.dup2(os.open(os.devnull, os.O_RDONLY), reader.fileno())  # the pipe's last reading end is gone
        for n in range(3):
            async with joined(daemon.address) as client:
                assert (await client.chat(f"r{n}", "x"))["text"]
        daemon.signal(signal.SIGTERM)
        assert await asyncio.to_thread(daemon.child.wait, 10) == -signal.SIGTERM
    finally:
        daemon.reap()


async def test_a_body_that_nobody_asked_for(daemon: DaemonProcess) -> None:
    """A page does not read the body of its request, however long that is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
    head = f"POST /health HTTP/1.1\r\nHost: {daemon.address}\r\nContent-Length: 999999999\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(5):
        assert b" 405 " in await reader.readline()
    writer.close()
    assert daemon.get("/health/ready").status_code == 200
    assert json.loads(daemon.get("/permits").text)["leaked"] == 0
