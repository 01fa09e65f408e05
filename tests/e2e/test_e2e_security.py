"""Who is let in, and how much of the daemon's time a stranger can take."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .conftest import PLUGINS, Simulator, StartDaemon, urls
from .exai_process import DaemonProcess
from .ws_client import error_code, joined, raw

TOKEN = "correct-horse-battery-staple-42"
PRIVATE = ["/health", "/metrics", "/permits", "/status"]
OPEN = ["/health/live", "/health/ready"]


@pytest.fixture(scope="module")
def guarded(sim_process: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon with a token, and short deadlines."""
    folder = tmp_path_factory.mktemp("guarded")
    settings = {
        **urls(sim_process.base_url),
        "EXAI_WS_TOKEN": TOKEN,
        "EXAI_WS_HELLO_TIMEOUT": "0.4",
        "EXAI_HEADER_TIMEOUT_SECS": "0.5",
        "EXAI_WS_MAX_BYTES": "4096",
        "EXAI_WS_MAX_CONNECTIONS": "3",
        "EXAI_LOG_LEVEL": "debug",
        "EXAI_LOG_FILE": str(folder / "exai.log"),
        "PYTHONPATH": str(PLUGINS),
    }
    process = DaemonProcess(folder, settings)
    try:
        yield process
    finally:
        process.reap()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
async def test_no_start_on_an_open_address_without_a_token(start_daemon: StartDaemon, host: str) -> None:
    for how in ({"EXAI_WS_HOST": host}, None):
        args = ["--port", "0"] + ([] if how else ["--host", host])
        daemon = start_daemon(how, args=args)
        assert await asyncio.to_thread(daemon.wait) == 2
        assert "EXAI_WS_HOST" in daemon.stderr
        assert "EXAI_WS_TOKEN" in daemon.stderr
        assert "secrets.token_urlsafe" in daemon.stderr
        assert not daemon.state_dir.exists(), "something was started before the refusal"


async def test_an_open_address_with_a_token(start_daemon: StartDaemon) -> None:
    daemon = start_daemon({"EXAI_WS_HOST": "0.0.0.0", "EXAI_WS_TOKEN": TOKEN})
    async with joined(daemon.address, token=TOKEN) as client:
        assert (await client.call("r1", "version"))["text"]
    told = await asyncio.to_thread(daemon.exai, "status")
    assert told.code == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXAI_WS_PORT", "eighty"),
        ("EXAI_WS_PORT", "70000"),
        ("EXAI_DRAIN_SECS", "-1"),
        ("EXAI_WS_CALL_TIMEOUT", "10"),
        ("EXAI_DEFAULT_PROVIDER", "openai"),
        ("KIMI_API_URL", "ftp://x"),
    ],
)
async def test_a_bad_setting_is_named_before_anything_starts(
    start_daemon: StartDaemon, name: str, value: str
) -> None:
    daemon = start_daemon({name: value}, args=["--host", "127.0.0.1"])
    assert await asyncio.to_thread(daemon.wait) == 2
    assert name in daemon.stderr
    assert "allowed" in daemon.stderr or "must" in daemon.stderr or "expected" in daemon.stderr
    assert "Traceback" not in daemon.stderr
    assert not daemon.state_dir.exists()


EVIL = [
    {"Host": "evil.example"},
    {"Host": "evil.example:8079"},
    {"Host": "127.0.0.1.evil.example"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
]


@pytest.mark.parametrize("headers", EVIL, ids=str)
@pytest.mark.parametrize("path", ["/", "/ws", "/health", "/health/live", "/metrics", "/permits", "/mcp"])
async def test_foreign_hosts_and_origins_are_refused_over_http(
    daemon: DaemonProcess, path: str, headers: dict[str, str]
) -> None:
    answer = await asyncio.to_thread(daemon.get, path, headers)
    assert answer.status_code == 403
    assert next(iter(headers)) in answer.text


@pytest.mark.parametrize("headers", EVIL, ids=str)
@pytest.mark.parametrize("path", ["/", "/ws"])
async def test_foreign_hosts_and_origins_are_refused_over_websocket(
    daemon: DaemonProcess, path: str, headers: dict[str, str]
) -> None:
    status = await asyncio.to_thread(_upgrade_status, daemon, path, headers)
    assert status == 403


def _upgrade_status(daemon: DaemonProcess, path: str, headers: dict[str, str]) -> int:
    """The status of a WebSocket handshake with these headers, by hand: clients set Host themselves."""
    fields = {
        "Host": daemon.address, "Connection": "Upgrade", "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", **headers,
    }  # fmt: skip
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as link:
        link.sendall("\r\n".join(lines).encode())
        return int(link.recv(4096).split()[1])


async def test_its_own_origin_is_let_in(daemon: DaemonProcess) -> None:
    async with joined(daemon.address, options={"origin": f"http://{daemon.address}"}) as client:
        assert await client.health()
    with pytest.raises(InvalidStatus):
        async with raw(daemon.address, "/elsewhere"):
            pass
    assert _upgrade_status(daemon, "/", {}) == 101


@pytest.mark.parametrize("token", ["wrong", "", None, TOKEN + "x", TOKEN[:-1], "ü"])
async def test_the_wrong_token_is_refused(guarded: DaemonProcess, token: str | None) -> None:
    async with raw(guarded.address) as client:
        fields = {} if token is None else {"token": token}
        await client.send("hello", session_id="s", **fields)
        assert await client.op("hello_ack") == {"op": "hello_ack", "ok": False, "error": "unauthorized"}
        assert (await client.closed())[0] == 4003


async def test_pages_want_the_bearer_but_for_live_and_ready(guarded: DaemonProcess) -> None:
    for path in PRIVATE:
        assert guarded.get(path).status_code == 401
        assert guarded.get(path, {"Authorization": "Bearer wrong"}).status_code == 401
        assert guarded.get(path, {"Authorization": TOKEN}).status_code == 401
        assert guarded.get(f"{path}?token={TOKEN}").status_code == 401
        assert guarded.get(path, {"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert [guarded.get(path).status_code for path in OPEN] == [200, 200]
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.post(f"http://{guarded.address}/mcp")).status_code == 401


async def test_exai_uses_the_token_of_the_environment(guarded: DaemonProcess) -> None:
    assert (await asyncio.to_thread(guarded.exai, "status")).code == 0
    wrong = await asyncio.to_thread(lambda: guarded.exai("status", env={"EXAI_WS_TOKEN": "another"}))
    assert wrong.code == 2
    assert "EXAI_WS_TOKEN" in wrong.stderr


async def test_the_token_is_found_nowhere(guarded: DaemonProcess, sim: Simulator) -> None:
    """Not in argv, the log, the metrics, the status, a bug's traceback; in the environment alone."""
    async with joined(guarded.address, token=TOKEN) as client:
        await client.call("r1", "crash", {"word": TOKEN})
        assert (await client.call("r2", "status"))["text"]
        assert await asyncio.to_thread(guarded.event, "tool failed")
        await client.socket.send(json.dumps({"op": TOKEN}))
        await client.op("error")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    pages = [guarded.get(path, headers).text for path in PRIVATE]
    for place in (*_written(guarded), *pages):
        assert TOKEN not in place
        assert TOKEN[:10] not in place
        assert "kimi-key-of-the-tests" not in place
    assert "ZeroDivisionError" in guarded.stderr


def _written(daemon: DaemonProcess) -> list[str]:
    """Its command line, its output, its log file."""
    argv = Path(f"/proc/{daemon.pid}/cmdline").read_text()
    return [argv, daemon.stderr, daemon.stdout, (daemon.folder / "exai.log").read_text()]


async def test_a_rotated_token_holds_for_later_hellos(start_daemon: StartDaemon) -> None:
    fresh = "quite-another-token-43"
    daemon = start_daemon({"EXAI_WS_TOKEN": TOKEN, "PYTHONPATH": str(PLUGINS)})
    async with joined(daemon.address, token=TOKEN) as client:
        await client.send("rotate_token", old="wrong", new=fresh)
        assert await client.op("rotate_token_res") == {
            "op": "rotate_token_res", "ok": False, "error": "unauthorized"
        }  # fmt: skip
        await client.send("rotate_token", old=TOKEN, new="")
        assert (await client.op("rotate_token_res"))["error"] == "missing_params"
        await client.send("rotate_token", old=TOKEN, new=fresh)
        assert await client.op("rotate_token_res") == {"op": "rotate_token_res", "ok": True}
        assert await client.health()
        async with raw(daemon.address) as late:
            await late.send("hello", token=TOKEN)
            assert (await late.closed())[0] == 4003
        async with joined(daemon.address, token=fresh) as other:
            await other.call("r1", "crash", {"word": fresh})
            await asyncio.to_thread(daemon.event, "tool failed")
    assert daemon.get("/status", {"Authorization": f"Bearer {fresh}"}).status_code == 200
    assert daemon.get("/status", {"Authorization": f"Bearer {TOKEN}"}).status_code == 401
    assert fresh not in daemon.stderr
    assert TOKEN not in daemon.stderr


@pytest.mark.parametrize(
    ("said", "error", "code"),
    [
        ('{"op":"list_tools"}', "missing_hello", 4001),
        ('{"op":"call_tool","request_id":"a","name":"chat","arguments":{}}', "missing_hello", 4001),
        ('{"op":"hello","session_id":7}', "invalid_hello", 4000),
        ('{"op":"hello","token":["x"]}', "invalid_hello", 4000),
    ],
)
async def test_a_first_message_that_is_no_good_hello(
    guarded: DaemonProcess, said: str, error: str, code: int
) -> None:
    async with raw(guarded.address) as client:
        await client.socket.send(said)
        ack = await client.op("hello_ack")
        assert (ack["ok"], ack["error"]) == (False, error)
        assert (await client.closed())[0] == code


@pytest.mark.parametrize("said", ["not json", "[]", "null", "{}"])
async def test_a_first_message_that_is_nothing(guarded: DaemonProcess, said: str) -> None:
    async with raw(guarded.address) as client:
        await client.socket.send(said)
        assert (await client.op("hello_ack"))["error"] in ("invalid_hello", "missing_hello")
        assert (await client.closed())[0] in (4000, 4001)


async def test_a_hello_that_comes_too_late(guarded: DaemonProcess) -> None:
    async with raw(guarded.address) as client:
        began = time.monotonic()
        assert (await client.closed())[0] == 4002
        assert 0.3 < time.monotonic() - began < 2
        assert client.frames == [{"op": "hello_ack", "ok": False, "error": "missing_hello"}]


@pytest.mark.parametrize(
    "half",
    [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"GET / HTTP/1.1\r\nUpg"],
)
async def test_a_header_that_comes_too_late(guarded: DaemonProcess, half: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.port)
    began = time.monotonic()
    writer.write(half)
    async with asyncio.timeout(5):
        with_nothing = await _drain(reader)
    assert with_nothing == b""
    assert 0.4 < time.monotonic() - began < 2
    writer.close()


async def test_a_second_header_that_comes_too_late(guarded: DaemonProcess) -> None:
    """A connection that was kept alive has the same deadline for its next request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.port)
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(5):
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"GET /health/li")
        began = time.monotonic()
        await _drain(reader)
    assert time.monotonic() - began < 2
    writer.close()


async def test_a_body_that_comes_too_late(guarded: DaemonProcess) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.port)
    head = f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
    began = time.monotonic()
    async with asyncio.timeout(5):
        await _drain(reader)
    assert 1 < time.monotonic() - began < 3
    writer.close()


@pytest.mark.parametrize("line", [b"X-N: y\r\n" * 1000, b"X" * 10_000])
async def test_a_header_without_end_is_not_kept(guarded: DaemonProcess, line: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 20_000_000:
            writer.write(line)
            await writer.drain()
            sent += len(line)
    assert sent < 10_000_000  # what the sockets between hold
    await _drain(reader)
    writer.close()


_UPGRADE = (
    b"/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@pytest.mark.parametrize(
    "request_",
    [
        b"POST " + _UPGRADE + b"Content-Length: 2\r\n\r\nhi",
        b"GET " + _UPGRADE + b"X-N: y\r\n" * 500 + b"\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        + TOKEN.encode()
        + b"\r\nContent-Length: 2\r\n\r\nhiGET "
        + _UPGRADE
        + b"\r\n",
    ],
)
async def test_an_upgrade_that_is_none_is_answered(guarded: DaemonProcess, request_: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.port)
    writer.write(request_)
    async with asyncio.timeout(5):
        assert (await _drain(reader)).startswith(b"HTTP/1.1 400")
    writer.close()


async def _drain(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def test_one_connection_too_many(guarded: DaemonProcess) -> None:
    async with (
        joined(guarded.address, token=TOKEN) as one,
        joined(guarded.address, token=TOKEN),
        joined(guarded.address, token=TOKEN),
    ):
        async with raw(guarded.address) as fourth:
            assert (await fourth.closed())[0] == 1008
        assert guarded.get("/health/ready").status_code == 200
        await one.socket.close()
        async with raw(guarded.address) as fifth:
            await fifth.send("hello", token=TOKEN)
            assert (await fifth.op("hello_ack"))["ok"]


@pytest.mark.parametrize("size", [4096 * 2, 4096 * 1000])
async def test_a_frame_too_large(guarded: DaemonProcess, size: int) -> None:
    async with joined(guarded.address, token=TOKEN) as client:
        with contextlib.suppress(ConnectionClosed):  # before all of it was sent
            await client.start("r1", "chat", {"prompt": "x" * size})
        assert (await client.closed())[0] == 1009
    async with joined(guarded.address, token=TOKEN) as client:
        assert await client.health()


async def test_a_frame_as_large_as_allowed(daemon: DaemonProcess, sim: Simulator) -> None:
    """The default allows 32 MiB; a prompt too long for any model is refused by name, not by a close."""
    async with joined(daemon.address) as client:
        result = await client.chat("r1", "word " * 600_000)
        assert error_code(result) == "EXEC_ERROR"
        assert "prompt" in result["error"]["message"]
        assert await client.health()
    assert sim.count("received") == 0
