"""The least daemon of this shape, to compare with: what the same libraries cost without what makes it ours.

uvicorn's sans-I/O WebSocket, aiohttp's client, three asyncio semaphores, one event in a deque, one
frame in and one frame out. Nothing is checked, kept or journaled.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import deque
from typing import Any

import aiohttp
import msgspec
import uvicorn
import uvloop

_DECODE = msgspec.json.Decoder().decode
_ENCODE = msgspec.json.Encoder().encode


class Bare:
    """The application."""

    def __init__(self, upstream: str, client: aiohttp.ClientSession) -> None:
        self.client = client
        self.url = f"{upstream}/chat/completions"
        self.total = asyncio.Semaphore(1000)
        self.provider = asyncio.Semaphore(1000)
        self.events: deque[tuple[Any, ...]] = deque(maxlen=10_000)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """A WebSocket connection, from its handshake to its end."""
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        own = asyncio.Semaphore(8)
        async with asyncio.TaskGroup() as calls:
            while (event := await receive())["type"] == "websocket.receive":
                message = _DECODE(event["text"])
                if message["op"] == "hello":
                    await send({"type": "websocket.send", "text": '{"op":"hello_ack","ok":true}'})
                else:
                    calls.create_task(self.call(message, own, send))

    async def call(self, message: dict[str, Any], own: asyncio.Semaphore, send: Any) -> None:
        """One call: three permits, one request, one event, one frame."""
        began = time.perf_counter()
        arguments = message["arguments"]
        body = _ENCODE(
            {"model": arguments["model"], "messages": [{"role": "user", "content": arguments["prompt"]}]}
        )
        async with self.total, self.provider, own, self.client.post(self.url, data=body) as response:
            answer = _DECODE(await response.read())
        text = answer["choices"][0]["message"]["content"]
        outputs = [{"type": "text", "text": text}]
        result = {
            "op": "call_tool_res",
            "request_id": message["request_id"],
            "outputs": outputs,
            "text": text,
        }
        await send({"type": "websocket.send", "text": _ENCODE(result).decode()})
        self.events.append((time.time(), "kimi", "receive", len(text), time.perf_counter() - began))


async def serve(upstream: str) -> None:
    """Serve on a free port until ended."""
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-bench"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as client:
        with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
            print(f"bare daemon on ws://127.0.0.1:{listening.getsockname()[1]}/", flush=True)
            config = uvicorn.Config(
                Bare(upstream, client),
                ws="websockets-sansio",
                ws_per_message_deflate=False,
                lifespan="off",
                loop="none",
                log_config=None,
                timeout_graceful_shutdown=1,
            )
            await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    uvloop.run(serve(os.environ["BENCH_UPSTREAM"]))
