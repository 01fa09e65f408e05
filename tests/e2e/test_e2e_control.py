"""``exai status`` and ``exai stop``: what they say of a daemon, of a silent one, and of what is none."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from .conftest import Simulator, StartDaemon, urls
from .exai_process import Finished, Process
from .ws_client import joined


@pytest.mark.parametrize(
    ("args", "number", "drain_s", "code"),
    [
        ([], signal.SIGTERM, "30", -signal.SIGTERM),
        (["--stop-is-success"], signal.SIGTERM, "30", 0),
        (["--stop-is-success"], signal.SIGTERM, "0.1", -signal.SIGTERM),  # a call had to be cut
        (["--stop-is-success"], signal.SIGINT, "30", -signal.SIGINT),
    ],
)
async def test_how_serve_ends(
    start_daemon: StartDaemon, sim: Simulator, args: list[str], number: int, drain_s: str, code: int
) -> None:
    sim.faults(all="latency=0.8")
    settings = {**urls(sim.base_url), "EXAI_DRAIN_SECS": drain_s}
    daemon = start_daemon(settings, args=["--port", "0", *args])
    async with joined(daemon.address) as client:
        await client.accepted("r1", "chat", {"prompt": "x"})
        daemon.signal(number)
        await client.result("r1")
    assert await asyncio.to_thread(daemon.wait) == code
    assert daemon.complaints() == []


async def test_stop_says_on_a_terminal_what_it_waits_for(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(all="stall=30")
    daemon = start_daemon(urls(sim.base_url))
    terminal, slave = pty.openpty()
    async with joined(daemon.address) as client:
        await client.accepted("r1", "chat", {"prompt": "x"})
        command = [sys.executable, "-m", "exai_ops", "stop", "--port", str(daemon.port)]
        stopping = await asyncio.create_subprocess_exec(
            *command,
            cwd=daemon.folder,
            env={**os.environ, **daemon.env},
            stdout=asyncio.subprocess.PIPE,
            stderr=slave,
        )
        os.close(slave)
        text = await asyncio.to_thread(_read_until, terminal, "drains, 1 call left")
        assert re.search(rf"\d s  pid {daemon.pid} drains, 1 call left", text)
        await client.send("cancel", request_id="r1")
        await client.result("r1")
    out, _ = await stopping.communicate()
    assert (stopping.returncode, out.decode()) == (0, f"stopped: pid {daemon.pid}, port {daemon.port}\n")
    assert (await asyncio.to_thread(_read_until, terminal, "\r\x1b[K")).endswith("\r\x1b[K")
    os.close(terminal)
    assert await asyncio.to_thread(daemon.wait) == -signal.SIGTERM


def _read_until(terminal: int, part: str) -> str:
    text = ""
    while part not in text:
        text += os.read(terminal, 4096).decode()
    return text


async def test_stop_that_waits_too_short(start_daemon: StartDaemon, sim: Simulator) -> None:
    sim.faults(all="stall=30")
    daemon = start_daemon(urls(sim.base_url))
    async with joined(daemon.address) as client:
        await client.accepted("r1", "chat", {"prompt": "x"})
        told = await asyncio.to_thread(daemon.exai, "stop", "--wait", "0.2")
        assert (told.code, told.stdout) == (124, "")
        assert f"exai: error: pid {daemon.pid} still drains after 0.2 s\nhint: " in told.stderr
        await client.send("cancel", request_id="r1")
    assert await asyncio.to_thread(daemon.wait) == -signal.SIGTERM


@pytest.mark.parametrize("command", [("status",), ("call", "version", "--url")])
async def test_a_wrong_token_is_a_wrong_setting(start_daemon: StartDaemon, command: tuple[str, ...]) -> None:
    daemon = start_daemon({"EXAI_WS_TOKEN": "the-right-canary-token"})
    words = (
        [*command, f"ws://{daemon.address}/"]
        if command[0] == "call"
        else [*command, "--port", str(daemon.port)]
    )
    told = await _exai(daemon.folder, *words, env={**daemon.env, "EXAI_WS_TOKEN": "another-canary-token"})
    assert (told.code, told.stdout) == (2, "")
    assert "exai: error: EXAI_WS_TOKEN: the daemon at " in told.stderr
    assert "hint: set it to the token that the daemon was started with" in told.stderr
    assert "canary" not in told.stderr


async def test_a_stopped_daemon_is_not_taken_for_none(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    port = str(daemon.port)
    daemon.signal(signal.SIGSTOP)
    try:
        status, stop, call = await asyncio.gather(
            _exai(daemon.folder, "status", "--port", port, env=daemon.env),
            _exai(daemon.folder, "stop", "--port", port, env=daemon.env),
            _exai(daemon.folder, "call", "version", env={**daemon.env, "EXAI_WS_PORT": port}),
        )
    finally:
        daemon.signal(signal.SIGCONT)
    assert [told.code for told in (status, stop, call)] == [3, 1, 3]
    assert f"did not answer within 5 s: pid {daemon.pid} is stopped by a signal" in status.stderr
    assert f"hint: kill -CONT {daemon.pid} lets it go on" in status.stderr
    assert f"pid {daemon.pid} is stopped by a signal, so that it cannot drain" in stop.stderr
    assert "did not answer within 5 s" in call.stderr
    assert "no daemon" not in status.stderr + stop.stderr + call.stderr
    assert await asyncio.to_thread(daemon.stop) == -signal.SIGTERM


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "it answered HTTP 404"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "it answered HTTP 401"),
        (HEAD + b"<html>hello</html>", "its answer is not JSON"),
        (HEAD + b"\xff\xfe", "its answer is not JSON"),
        (HEAD + b"[" * 100_000, "its answer is n"),
        (HEAD + b"[]", "its answer is another program's"),
        (HEAD + b'{"status": "ok"}', "its answer is another program's"),
        (HEAD + json.dumps({"status": 1}).encode(), "its answer is another program's"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "what it sent is no HTTP answer"),
        (b"", "what it sent is no HTTP answer"),
    ],
)
async def test_status_of_another_program(tmp_path: Path, answer: bytes, said: str) -> None:
    async with _answering(answer) as port:
        told = await _exai(tmp_path, "status", "--port", str(port), env={"EXAI_STATE_DIR": str(tmp_path)})
    assert (told.code, told.stdout) == (3, "")
    lines = told.stderr.splitlines()
    assert lines[0].startswith(
        f"exai: error: what answers at http://127.0.0.1:{port}/health is no exai daemon: {said}"
    )
    assert lines[1].startswith(f"hint: port {port} is held by pid ")
    assert len(lines) == 2


async def test_status_where_nothing_listens(tmp_path: Path) -> None:
    told = await _exai(tmp_path, "status", "--port", "1", env={"EXAI_STATE_DIR": str(tmp_path)})
    assert (told.code, told.stdout) == (3, "")
    assert "no exai daemon at http://127.0.0.1:1/health: connection refused\n" in told.stderr


@asynccontextmanager
async def _answering(answer: bytes) -> AsyncIterator[int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def _exai(folder: Path, *args: str, env: dict[str, str]) -> Finished:
    command = Process([*args], cwd=folder, env=env)
    try:
        return Finished(await asyncio.to_thread(command.wait), command.stdout, command.stderr)
    finally:
        command.reap()
