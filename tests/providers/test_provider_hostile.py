"""What no provider should send: each becomes a short error of ours, soon, and without the key."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exai_ops.errors import ProviderError, ProviderRejected, ProviderUnavailable
from exai_ops.providers import exchange
from exai_ops.providers.router import Providers
from exai_ops.providers.types import ChatRequest, Completion, Message
from exai_ops.settings import Secret, Settings

KEY = Secret("sk-0123456789abcdef")
GOOD = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'


class RawServer:
    """Answers each connection's first request with fixed bytes, then closes it or leaves it hanging."""

    def __init__(self, answer: bytes, *, hang: bool) -> None:
        self._answer = answer
        self._hang = hang
        self._done = asyncio.Event()
        self.requests: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start = await reader.read(1)
        # A TLS handshake begins with 0x16, and is never followed by the end of a header.
        self.requests.append(start if start == b"\x16" else start + await reader.readuntil(b"\r\n\r\n"))
        with contextlib.suppress(ConnectionError):
            writer.write(self._answer)
            await writer.drain()
            if self._hang:
                await self._done.wait()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[RawServer]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._done.set()
            server.close()
            await server.wait_closed()


async def ask(server: RawServer, *, stream: bool, scheme: str = "http", **fields: Any) -> Completion:
    pieces: list[str] = []

    async def take(text: str) -> None:
        pieces.append(text)

    settings = Settings(
        glm_api_key=KEY,
        glm_api_url=f"{scheme}://127.0.0.1:{server.port}",
        provider_attempts=1,
        tool_timeout_s=20,
    )
    request = ChatRequest(messages=(Message("user", "hello"),), model="glm-4.6", **fields)
    async with Providers(settings) as providers:
        done = await providers.complete(request, on_delta=take if stream else None)
    assert "".join(pieces) == (done.text if stream else "")
    return done


def http(body: bytes, *, status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    """A response that ends where the connection does."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}\r\n".encode() + body


SSE = "text/event-stream"
ENDLESS = b"x" * 200_000


@pytest.mark.parametrize(
    ("answer", "stream", "hang", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", False, False, "not HTTP"),
        (b"", False, False, "connection cut before an answer"),
        (http(b"", status="302 Found", more="Location: http://127.0.0.1:1/\r\n"), False, False, "HTTP 302"),
        (http(b"<h1>Bad Gateway</h1>", status="502 Bad Gateway"), False, False, "HTTP 502): Bad Gateway"),
        (http(ENDLESS, status="500 No"), False, True, "HTTP 500): xxx"),
        (http(b"[" * 60_000, status="500 No"), True, False, "HTTP 500): [[["),
        (http(gzip.compress(GOOD), more="Content-Encoding: gzip\r\n"), False, False, "malformed"),
        (http(b"<html>portal</html>", kind="text/html"), False, False, "malformed"),
        (http(b"<html>portal</html>", kind="text/html"), True, False, "stream cut after 0 pieces"),
        (http(b"data: " + b"x" * 1_200_000, kind=SSE), True, True, "1048576 bytes"),
        (http(b": keepalive\n\n" * 1_400_000, kind=SSE), True, True, "16777216 bytes"),
        (http(b" " * 17_000_000), False, True, "16777216 bytes"),
        (http(b'data: {"choices":[{"delta":{"content":7}}]}\n\n', kind=SSE), True, True, "malformed"),
        (http(b'{"code":500,"msg":"404 NOT_FOUND","success":false}'), True, False, "404 NOT_FOUND"),
        (http(GOOD, more="Content-Length: 9999\r\n"), False, False, "cut"),
    ],
)
async def test_it_ends_in_one_line(answer: bytes, stream: bool, hang: bool, words: str) -> None:
    async with RawServer(answer, hang=hang).running() as server:
        with pytest.raises(ProviderUnavailable) as caught:
            await ask(server, stream=stream)
    assert words in caught.value.message
    assert len(caught.value.message) < 400
    assert caught.value.__cause__ is None
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["400 No", "401 No", "500 No", "200 OK"])
@pytest.mark.parametrize(
    "body", ['{"error":{"message":"key %s","code":"%s"}}', "%s", "<p>%s</p>", '{"error":"\\n%s"}']
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_echoed_key_is_not_repeated(status: str, body: str, stream: bool) -> None:
    answer = http(body.replace("%s", KEY.reveal()).encode(), status=status)
    async with RawServer(answer, hang=False).running() as server:
        with pytest.raises(ProviderError) as caught:
            await ask(server, stream=stream)
    error = caught.value
    assert (
        KEY.reveal() not in f"{error!r} {error.hint} {error.code} {error.__cause__!r} {error.__context__!r}"
    )
    assert f"Bearer {KEY.reveal()}".encode() in server.requests[0]


async def test_a_plain_server_under_https_is_named_as_tls() -> None:
    async with RawServer(b"HTTP/1.1 400 No\r\n\r\n", hang=False).running() as server:
        with pytest.raises(ProviderUnavailable, match="TLS"):
            await ask(server, stream=False, scheme="https")


async def test_an_error_is_told_without_waiting_for_all_of_its_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_ERROR_BODY_S", 0.05)
    answer = http(b"half a rea", status="503 No", more="Content-Length: 99\r\n")
    async with RawServer(answer, hang=True).running() as server:
        with pytest.raises(ProviderUnavailable, match=r"HTTP 503\): half a rea"):
            await ask(server, stream=False)


async def test_nobody_listens() -> None:
    server = RawServer(b"", hang=False)
    async with server.running():
        pass
    with pytest.raises(ProviderUnavailable, match=r"connect: failed \(Connection refused\)"):
        await ask(server, stream=False)


@pytest.mark.parametrize("stream", [False, True])
async def test_json_in_place_of_a_stream_is_an_answer(stream: bool) -> None:
    async with RawServer(http(GOOD), hang=False).running() as server:
        assert (await ask(server, stream=stream)).text == "hi"


async def test_the_answer_does_not_wait_for_the_end_of_the_connection() -> None:
    events = b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    async with RawServer(http(events, kind=SSE), hang=True).running() as server:
        done = await ask(server, stream=True)
    assert (done.text, done.finish_reason) == ("hi", "stop")
    assert done.duration_s < 2


async def test_a_fault_is_never_sent_to_a_real_provider() -> None:
    async with RawServer(http(GOOD), hang=False).running() as server:
        assert not (await ask(server, stream=False, fault="status=500")).simulated
    assert b"fault" not in server.requests[0].lower()


async def test_text_that_is_no_unicode_is_not_sent() -> None:
    async with RawServer(b"", hang=False).running() as server:
        settings = Settings(glm_api_key=KEY, glm_api_url=f"http://127.0.0.1:{server.port}")
        async with Providers(settings) as providers:
            with pytest.raises(ProviderRejected):
                await providers.complete(ChatRequest(messages=(Message("user", "\udc80"),)))
    assert server.requests == []
