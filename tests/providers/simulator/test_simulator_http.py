"""Both dialects over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from exai_ops.providers.simulator import SimulatorOptions, SimulatorServer, running_simulator
from exai_ops.settings import Secret

ANY = [("kimi", "kimi-latest"), ("glm", "glm-4.6")]


def url(sim: SimulatorServer, provider: str, route: str = "/chat/completions") -> str:
    return (sim.kimi_url if provider == "kimi" else sim.glm_url) + route


def ask(model: str, *said: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text} for text in said], **more}


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for line in answer.content:
        if line.startswith(b"data: "):
            yield line[6:].strip()


async def chunks(answer: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    found = [event async for event in events(answer)]
    assert found.pop() == b"[DONE]"
    return [msgspec.json.decode(event) for event in found]


@pytest.mark.parametrize(("provider", "model"), ANY)
async def test_answers_whole(
    sim: SimulatorServer, client: aiohttp.ClientSession, provider: str, model: str
) -> None:
    async with client.post(url(sim, provider), json=ask(model, "hello")) as answer:
        body = await answer.json()
    assert answer.status == 200
    message = body["choices"][0]["message"]
    assert message["content"] == f'[simulated] {model}, turn 1. You now say: "hello".'
    assert body["usage"]["prompt_tokens"] == 2
    assert body["usage"]["total_tokens"] == 2 + -(-len(message["content"]) // 4)


@pytest.mark.parametrize(("provider", "model"), ANY)
async def test_streams_the_same_text(
    sim: SimulatorServer, client: aiohttp.ClientSession, provider: str, model: str
) -> None:
    async with client.post(url(sim, provider), json=ask(model, "hello", stream=True)) as answer:
        assert answer.content_type == "text/event-stream"
        found = await chunks(answer)
    deltas = [chunk["choices"][0]["delta"].get("content", "") for chunk in found]
    assert "".join(deltas) == f'[simulated] {model}, turn 1. You now say: "hello".'
    assert found[0]["choices"][0]["delta"]["role"] == "assistant"
    assert found[-1]["choices"][0]["finish_reason"] == "stop"
    usage = found[-1].get("usage") or found[-1]["choices"][0]["usage"]
    assert usage["prompt_tokens"] == 2


async def test_kimi_adds_a_chunk_of_usage_when_asked(
    sim: SimulatorServer, client: aiohttp.ClientSession
) -> None:
    body = ask("kimi-latest", "x", stream=True, stream_options={"include_usage": True})
    async with client.post(url(sim, "kimi"), json=body) as answer:
        found = await chunks(answer)
    assert found[-1]["choices"] == []
    assert found[-1]["usage"] == found[-2]["choices"][0]["usage"]


async def test_streams_reasoning_first(sim: SimulatorServer, client: aiohttp.ClientSession) -> None:
    body = ask("glm-4.6", "x", stream=True, thinking={"type": "enabled"})
    async with client.post(url(sim, "glm"), json=body) as answer:
        found = await chunks(answer)
    kinds = ["reasoning_content" in chunk["choices"][0]["delta"] for chunk in found[1:-1]]
    assert kinds == sorted(kinds, reverse=True)
    assert kinds[0]


async def test_the_number_of_pieces_can_be_set(sim: SimulatorServer, client: aiohttp.ClientSession) -> None:
    headers = {"X-Exai-Fault": "chunks=20; size=200"}
    async with client.post(url(sim, "glm"), json=ask("glm-4.6", "x", stream=True), headers=headers) as answer:
        found = await chunks(answer)
    assert [len(chunk["choices"][0]["delta"]["content"]) for chunk in found] == [0, *[10] * 20, 0]


async def test_the_same_request_gives_the_same_bytes(
    sim: SimulatorServer, client: aiohttp.ClientSession
) -> None:
    async def once(stream: bool) -> bytes:
        async with client.post(url(sim, "glm"), json=ask("glm-4.6", "x", stream=stream)) as answer:
            return await answer.read()

    for stream in (False, True):
        assert await once(stream) == await once(stream)


async def test_glm_lists_what_it_searched(sim: SimulatorServer, client: aiohttp.ClientSession) -> None:
    tools = [{"type": "web_search", "web_search": {"enable": True}}]
    async with client.post(url(sim, "glm"), json=ask("glm-4.6", "news", tools=tools)) as answer:
        assert (await answer.json())["web_search"][0]["content"] == "news"


@pytest.mark.parametrize("stream", [False, True])
async def test_kimi_searches_by_a_round_of_its_tool(
    sim: SimulatorServer, client: aiohttp.ClientSession, stream: bool
) -> None:
    tools = [{"type": "builtin_function", "function": {"name": "$web_search"}}]
    body = ask("kimi-latest", "news", tools=tools, stream=stream)
    async with client.post(url(sim, "kimi"), json=body) as answer:
        choice = (await chunks(answer))[0]["choices"][0] if stream else (await answer.json())["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    call = choice["delta" if stream else "message"]["tool_calls"][0]
    assert call["function"] == {"name": "$web_search", "arguments": '{"query":"news"}'}
    body["messages"].append(
        {"role": "tool", "tool_call_id": call["id"], "content": call["function"]["arguments"]}
    )
    async with client.post(url(sim, "kimi"), json=body) as answer:
        text = await answer.text()
    assert "tool_calls" not in text
    assert "[simulated]" in text


async def test_kimi_searches_without_a_round_when_told(
    sim: SimulatorServer, client: aiohttp.ClientSession
) -> None:
    tools = [{"type": "builtin_function", "function": {"name": "$web_search"}}]
    headers = {"X-Exai-Fault": "search-round=0"}
    async with client.post(
        url(sim, "kimi"), json=ask("kimi-latest", "x", tools=tools), headers=headers
    ) as answer:
        assert "Searched the web" in await answer.text()


@pytest.mark.parametrize(("provider", "model"), ANY)
async def test_lists_models(
    sim: SimulatorServer, client: aiohttp.ClientSession, provider: str, model: str
) -> None:
    async with client.get(url(sim, provider, "/models")) as answer:
        assert model in [row["id"] for row in (await answer.json())["data"]]


async def test_tells_kimis_balance(sim: SimulatorServer, client: aiohttp.ClientSession) -> None:
    async with client.get(url(sim, "kimi", "/users/me/balance")) as answer:
        body = await answer.json()
    assert body["code"] == 0
    assert body["data"] == {
        "available_balance": 49.58894,
        "voucher_balance": 0.0,
        "cash_balance": 49.58894,
    }


async def test_glm_may_have_no_list_of_models(client: aiohttp.ClientSession) -> None:
    async with (
        running_simulator(SimulatorOptions(glm_models=False)) as sim,
        client.get(url(sim, "glm", "/models")) as answer,
    ):
        assert answer.status == 404


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic abc"}])
@pytest.mark.parametrize(("provider", "mark"), [("kimi", "invalid_authentication_error"), ("glm", "1001")])
async def test_asks_for_a_key(sim: SimulatorServer, header: dict[str, str], provider: str, mark: str) -> None:
    async with (
        aiohttp.ClientSession(headers=header) as session,
        session.post(url(sim, provider), json=ask("kimi-latest", "x")) as answer,
    ):
        error = (await answer.json())["error"]
    assert answer.status == 401
    assert mark in error.values()


@pytest.mark.parametrize(("key", "status"), [("good", 200), ("made-up", 401)])
async def test_keys_can_be_restricted(key: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        running_simulator(SimulatorOptions(keys=(Secret("other"), Secret("good")))) as sim,
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url(sim, "glm"), json=ask("glm-4.6", "x")) as answer,
    ):
        assert answer.status == status


REFUSED = [
    ("kimi", b"{", 400, "invalid_request_error", "Invalid request"),
    ("glm", b"{", 400, "1210", "Invalid request"),
    ("glm", b'{"model":"glm-4.6","messages":[]}', 400, "1210", "messages"),
    ("glm", b'{"model":"glm-4.6","messages":[{"role":1}]}', 400, "1210", "role"),
    (
        "kimi",
        b'{"model":"kimi-latest","messages":[{"role":"user"}],"max_tokens":0}',
        400,
        "invalid_request_error",
        "max_tokens",
    ),
    ("kimi", b'{"model":"glm-4.6","messages":[{"role":"user"}]}', 404, "resource_not_found_error", "glm-4.6"),
    ("glm", b'{"model":"gpt","messages":[{"role":"user"}]}', 400, "1211", "Unknown model"),
]


@pytest.mark.parametrize("case", REFUSED)
async def test_refuses_as_the_vendor_does(
    sim: SimulatorServer, client: aiohttp.ClientSession, case: tuple[str, bytes, int, str, str]
) -> None:
    provider, body, status, mark, words = case
    async with client.post(url(sim, provider), data=body) as answer:
        error = (await answer.json())["error"]
    assert answer.status == status
    assert mark in error.values()
    assert words in error["message"]


@pytest.mark.parametrize(
    ("provider", "model", "mark"),
    [("kimi", "moonshot-v1-8k", "invalid_request_error"), ("glm", "glm-4.5v", "1261")],
)
async def test_refuses_a_prompt_beyond_the_window(
    sim: SimulatorServer, client: aiohttp.ClientSession, provider: str, model: str, mark: str
) -> None:
    async with client.post(url(sim, provider), json=ask(model, "x" * 300_000)) as answer:
        assert answer.status == 400
        assert mark in (await answer.json())["error"].values()


async def test_answers_for_any_model_when_told(client: aiohttp.ClientSession) -> None:
    async with (
        running_simulator(SimulatorOptions(any_model=True)) as sim,
        client.post(url(sim, "glm"), json=ask("gpt", "x")) as answer,
    ):
        assert answer.status == 200


async def test_refuses_a_body_that_is_too_large(client: aiohttp.ClientSession) -> None:
    async with (
        running_simulator(SimulatorOptions(max_body_bytes=1000)) as sim,
        client.post(url(sim, "glm"), json=ask("glm-4.6", "x" * 2000)) as answer,
    ):
        assert answer.status == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/kimi/v1/chat/completions"), ("GET", "/glm/v4/users/me/balance"), ("GET", "/")],
)
async def test_has_nothing_elsewhere(
    sim: SimulatorServer, client: aiohttp.ClientSession, method: str, path: str
) -> None:
    async with client.request(method, sim.base_url + path) as answer:
        assert answer.status == 404
