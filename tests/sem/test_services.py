"""Real services from PyPI under load: nothing is accused while they are well, and a planted leak is found."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from exai_ops.sem.check import look
from exai_ops.sem.model import Judgement, Semaphore, Verdict
from exai_ops.sem.passive.whole import WholeScanner
from exai_ops.sem.verdict import ACCUSATIONS

from .targets import running

_LEAKS = """
LEAKS = {leaks}
"""

AIOHTTP = """
import aiohttp
from aiohttp import web

async def answer(request):
    await asyncio.sleep(0.002)
    return web.Response(text="x" * 2000)

class Crawler:
    def __init__(self, session):
        self.session = session
        self.slots = asyncio.BoundedSemaphore(8)

    async def get(self, url, number):
        await self.slots.acquire()
        async with self.session.get(url) as response:
            body = await response.text()
            if LEAKS and number in (50, 90):
                raise ValueError(len(body))
        self.slots.release()

    async def crawl(self, url):
        number = 0
        while True:
            jobs = (self.get(url, number + n) for n in range(20))
            await asyncio.gather(*jobs, return_exceptions=True)
            number += 20
            if number == 200:
                tell()

async def main():
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    connector = aiohttp.TCPConnector(limit=5)
    async with aiohttp.ClientSession(connector=connector) as session:
        await Crawler(session).crawl(f"http://127.0.0.1:{port}/")

asyncio.run(main())
"""

UVICORN = """
import anyio, httpx, socket, uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

LIMITER = None
GATE = asyncio.BoundedSemaphore(6)
served = 0

def render(name):
    return f"hello {name}"

async def page(request):
    global served
    served += 1
    if LEAKS and served in (40, 70, 95):
        await GATE.acquire()
        return PlainTextResponse("no", status_code=503)
    async with GATE:
        await asyncio.sleep(0.001)
        text = await anyio.to_thread.run_sync(render, request.query_params["name"], limiter=LIMITER)
    return PlainTextResponse(text)

async def load(port):
    limits = httpx.Limits(max_connections=4)
    async with httpx.AsyncClient(limits=limits, trust_env=False, timeout=60) as client:
        async def one(number):
            await client.get(f"http://127.0.0.1:{port}/", params={"name": number})
        for turn in range(100000):
            async with anyio.create_task_group() as group:
                for number in range(12):
                    group.start_soon(one, number)
            if turn == 10:
                tell()

async def main():
    global LIMITER
    LIMITER = anyio.CapacityLimiter(3)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    app = Starlette(routes=[Route("/", page)])
    server = uvicorn.Server(uvicorn.Config(app, loop="none", log_level="error"))
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    await load(listener.getsockname()[1])

import uvloop
uvloop.run(main())
"""

MCP = """
import anyio
from mcp import Client, MCPError, types
from mcp.server.lowlevel import Server

UPSTREAM = anyio.Semaphore(6, max_value=6)
asked = 0

async def tools(context, params):
    return types.ListToolsResult(tools=[types.Tool(name="price", input_schema={"type": "object"})])

async def call(context, params):
    global asked
    asked += 1
    await UPSTREAM.acquire()
    if LEAKS and asked in (30, 60):
        raise ValueError("no price")
    try:
        await anyio.sleep(0.002)
    finally:
        UPSTREAM.release()
    return types.CallToolResult(content=[types.TextContent(text="12")])

async def ask(client, number):
    try:
        await client.call_tool("price", {"n": number})
    except (MCPError, ValueError):
        pass

async def main():
    async with Client(Server("prices", on_list_tools=tools, on_call_tool=call), mode="legacy") as client:
        for turn in range(100000):
            async with anyio.create_task_group() as group:
                for number in range(6):
                    group.start_soon(ask, client, number)
            if turn == 15:
                tell()

anyio.run(main)
"""

SERVICES = {
    "aiohttp's client and server": (AIOHTTP, "__main__.Crawler.slots", 2),
    "uvicorn, starlette, httpx, uvloop": (UVICORN, "__main__.GATE", 3),
    "an MCP server": (MCP, "__main__.UPSTREAM", 2),
}


Rows = list[tuple[Semaphore, Judgement]]
LOOKS = 3
"""A service that moves may leave one look in doubt, and it says so."""


def _looks(source: str, *, leaks: bool) -> Iterator[Rows]:
    source = _LEAKS.format(leaks=leaks) + source
    with running(sys.executable, source) as (child, _), WholeScanner(child.pid) as scanner:
        for _ in range(LOOKS):
            scan, judgements = look(scanner)
            yield list(zip(scan.semaphores, judgements, strict=True))


@pytest.mark.parametrize("service", SERVICES)
def test_well_under_load(service: str) -> None:
    source, name, _ = SERVICES[service]
    for rows in _looks(source, leaks=False):
        accused = [(one.where, j) for one, j in rows if j.verdict in ACCUSATIONS]
        assert accused == []
        assert name in {one.where[0] for one, _ in rows if one.where}


@pytest.mark.parametrize("service", SERVICES)
def test_a_planted_leak(service: str) -> None:
    source, name, lost = SERVICES[service]
    found = []
    for rows in _looks(source, leaks=True):
        accused = [(one, j) for one, j in rows if j.verdict in ACCUSATIONS]
        assert {(one.where[0], j.verdict) for one, j in accused} <= {(name, Verdict.LEAKED)}
        found += [j.permits for _, j in accused]
    assert found
    assert max(found) <= lost  # of a service at work the smaller number of two scans
