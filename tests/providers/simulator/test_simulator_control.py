"""The endpoints under /_sim."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from exai_ops.providers.simulator import SimulatorOptions, SimulatorServer, running_simulator

BODY = {"model": "glm-4.6", "messages": [{"role": "user", "content": "hello"}]}


async def control(
    sim: SimulatorServer, client: aiohttp.ClientSession, method: str, path: str, body: Any = None, **more: Any
) -> tuple[int, Any]:
    async with client.request(method, sim.base_url + "/_sim" + path, json=body, **more) as answer:
        return answer.status, await answer.json()


async def status_of(sim: SimulatorServer, client: aiohttp.ClientSession) -> int:
    async with client.post(sim.glm_url + "/chat/completions", json=BODY) as answer:
        return answer.status


async def test_faults_are_set_read_and_reset(sim: SimulatorServer, client: aiohttp.ClientSession) -> None:
    wanted = {"glm": {"status": 503, "first": 1}, "kimi": "latency=0.2"}
    _, now = await control(sim, client, "POST", "/faults", wanted)
    assert now == {"kimi": "latency=0.2", "glm": "status=503; first=1"}
    assert [await status_of(sim, client) for _ in range(2)] == [503, 200]
    assert await control(sim, client, "GET", "/faults") == (200, now)
    # Set again, it counts again.
    await control(sim, client, "POST", "/faults", {"glm": "status=503; first=1", "kimi": None})
    assert [await status_of(sim, client) for _ in range(2)] == [503, 200]
    assert await control(sim, client, "DELETE", "/faults") == (200, {"kimi": "", "glm": ""})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"glm": "latency=x"}, "latency"),
        ({"glm": {"nope": 1}}, "nope"),
        ({"glm": {"status": "many"}}, "status"),
        ({"openai": "reset"}, "openai"),
        ({"kimi": "code=1302"}, "code"),
        ({"all": "code=1302"}, "code"),
        ({"kimi": 7}, "body"),
        ([], "body"),
    ],
)
async def test_a_bad_fault_changes_nothing_and_is_named(
    sim: SimulatorServer, client: aiohttp.ClientSession, body: Any, field: str
) -> None:
    status, answer = await control(sim, client, "POST", "/faults", body)
    assert (status, answer["error"]["field"]) == (400, field)
    assert await control(sim, client, "GET", "/faults") == (200, {"kimi": "", "glm": ""})


async def test_tells_what_was_received_without_the_key(
    sim: SimulatorServer, client: aiohttp.ClientSession
) -> None:
    await status_of(sim, client)
    async with client.post(sim.kimi_url + "/chat/completions", data=b"no json"):
        pass
    async with client.get(sim.base_url + "/_sim/requests") as answer:
        assert "made-up" not in await answer.text()
        seen = await answer.json()
    assert seen["glm"]["received"] == seen["glm"]["completed"] == 1
    assert seen["kimi"]["refused"] == 1
    assert [(one["provider"], one["outcome"], one["body"]) for one in seen["requests"]] == [
        ("glm", "completed", BODY),
        ("kimi", "refused", "no json"),
    ]
    _, after = await control(sim, client, "DELETE", "/requests")
    assert after["requests"] == []
    assert after["glm"]["received"] == 0


async def test_wait_returns_with_the_event(sim: SimulatorServer, client: aiohttp.ClientSession) -> None:
    waiting = asyncio.create_task(
        control(sim, client, "GET", "/wait?completed=1&idle=1&provider=glm&timeout=5")
    )
    await status_of(sim, client)
    status, body = await waiting
    assert (status, body["reached"], body["glm"]["completed"]) == (200, True, 1)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("idle=1", 200),
        ("", 200),
        ("received=1&timeout=0", 408),
        ("received=1&provider=kimi&timeout=0.01", 408),
        ("nope=1", 400),
        ("received=x", 400),
        ("timeout=-1", 400),
        ("timeout=nan", 400),
        ("provider=openai", 400),
    ],
)
async def test_wait_says_whether_and_what_is_wrong(
    sim: SimulatorServer, client: aiohttp.ClientSession, query: str, status: int
) -> None:
    assert (await control(sim, client, "GET", f"/wait?{query}"))[0] == status


async def test_no_page_of_a_browser_is_answered(sim: SimulatorServer, client: aiohttp.ClientSession) -> None:
    status, _ = await control(sim, client, "GET", "/requests", headers={"Origin": "http://evil.example"})
    assert status == 403


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("PUT", "/faults"), ("POST", "/requests")])
async def test_nothing_elsewhere(
    sim: SimulatorServer, client: aiohttp.ClientSession, method: str, path: str
) -> None:
    assert (await control(sim, client, method, path))[0] == 404


async def test_control_can_be_left_out(client: aiohttp.ClientSession) -> None:
    async with running_simulator(SimulatorOptions(control=False, remember=0)) as sim:
        assert await status_of(sim, client) == 200
        assert (await control(sim, client, "GET", "/requests"))[0] == 404
        assert sim.state.as_dict()["requests"] == []
