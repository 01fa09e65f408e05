"""A load generator as a process of its own; prints what it saw as one JSON object.

Every client keeps its connection and asks again as soon as it is answered. Clients start spread over
``SPREAD_S``; after the warm-up a window opens, and CPU of the server, calls and latencies are taken over
that window alone, in the steady state, without connects.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.processes import cpu_s

SPREAD_S: Final = 0.05
REPLY_S: Final = 30.0
MODEL: Final = "kimi-latest"
PROMPT: Final = "What does this change do, and what could go wrong with it?"


@dataclass(slots=True)
class Seen:
    """What the clients saw in the window."""

    latencies: list[float] = field(default_factory=list)
    pieces: int = 0
    errors: list[str] = field(default_factory=list)
    over: bool = False

    def call(self, began: float, pieces: int = 0) -> None:
        self.latencies.append(time.perf_counter() - began)
        self.pieces += pieces


Client = Callable[[str, Seen, int], Awaitable[None]]


async def websocket(url: str, seen: Seen, number: int, *, stream: bool = False) -> None:
    """One session of the EXAI protocol."""
    from websockets.asyncio.client import connect

    head = '{"op":"call_tool","name":"chat","stream":' + ("true" if stream else "false") + ',"arguments":'
    head += json.dumps({"prompt": PROMPT, "model": MODEL}) + ',"request_id":"r'
    async with connect(url, compression=None, max_size=None, ping_interval=None) as ws:
        await ws.send(json.dumps({"op": "hello", "session_id": f"bench-{number}"}))
        await ws.recv()
        asked = 0
        while not seen.over:
            asked += 1
            began = time.perf_counter()
            await ws.send(f'{head}{asked}"}}')
            pieces = 0
            while '"call_tool_res"' not in (frame := await ws.recv())[:40]:
                pieces += '"stream"' in frame[:20]
            if '"error"' in frame:
                seen.errors.append(str(frame)[:200])
                return
            seen.call(began, pieces)


async def streaming(url: str, seen: Seen, number: int) -> None:
    """The same, asking for the pieces."""
    await websocket(url, seen, number, stream=True)


async def completions(url: str, seen: Seen, number: int) -> None:
    """One client of an OpenAI-style endpoint, on a kept connection."""
    import aiohttp

    asked = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "user": f"bench-{number}"}
    body = json.dumps(asked).encode()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-bench"}
    async with aiohttp.ClientSession(headers=headers) as session:
        while not seen.over:
            began = time.perf_counter()
            async with session.post(f"{url}/chat/completions", data=body) as response:
                answer = await response.read()
            if response.status != 200 or b'"choices"' not in answer:
                seen.errors.append(f"{response.status} {answer[:200]!r}")
                return
            seen.call(began)


CLIENTS: Final[dict[str, Client]] = {
    "websocket": websocket,
    "streaming": streaming,
    "completions": completions,
}


async def run(
    client: Client, url: str, pid: int, *, sessions: int, warm_s: float, window_s: float
) -> dict[str, Any]:
    """Load the server and say what it took."""
    seen = Seen()

    async def one(number: int) -> None:
        await asyncio.sleep(SPREAD_S * number / sessions)
        try:
            await client(url, seen, number)
        except Exception as error:  # noqa: BLE001 - the boundary of a client's task
            seen.errors.append(f"{type(error).__name__}: {error}")

    async with asyncio.timeout(warm_s + window_s + REPLY_S):
        tasks = [asyncio.create_task(one(number)) for number in range(sessions)]
        await asyncio.sleep(warm_s)
        seen.latencies.clear()
        seen.pieces = 0
        cpu, began = cpu_s(pid), time.perf_counter()
        await asyncio.sleep(window_s)
        cpu, wall = cpu_s(pid) - cpu, time.perf_counter() - began
        latencies, pieces = sorted(seen.latencies), seen.pieces
        seen.over = True
        await asyncio.gather(*tasks)
    count = len(latencies)
    return {
        "calls": count,
        "pieces": pieces,
        "errors": len(seen.errors),
        "first_error": seen.errors[0] if seen.errors else None,
        "wall_s": wall,
        "cpu_s": cpu,
        "p50_ms": latencies[count // 2] * 1e3 if count else None,
        "p99_ms": latencies[int(count * 0.99)] * 1e3 if count else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("url")
    parser.add_argument("--pid", type=int, required=True, help="the server whose CPU is measured")
    parser.add_argument("--sessions", type=int, default=32)
    parser.add_argument("--warm-s", type=float, default=1.0)
    parser.add_argument("--window-s", type=float, default=2.0)
    given = parser.parse_args()
    import uvloop

    seen = uvloop.run(
        run(
            CLIENTS[given.client],
            given.url,
            given.pid,
            sessions=given.sessions,
            warm_s=given.warm_s,
            window_s=given.window_s,
        )
    )
    print("seen " + json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
