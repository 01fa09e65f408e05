"""Each fault, seen from the client's end of a real socket."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import msgspec
import pytest

from exai_ops.providers.simulator import SimulatorOptions, SimulatorServer, parse_fault, running_simulator

STREAM = {"model": "glm-4.6", "messages": [{"role": "user", "content": "hello"}], "stream": True}
WHOLE = STREAM | {"stream": False}


def asked(
    sim: SimulatorServer, client: aiohttp.ClientSession, fault: str, body: dict[str, Any] = WHOLE
) -> Any:
    return client.post(sim.glm_url + "/chat/completions", json=body, headers={"X-Exai-Fault": fault})


GLM_CODES = {
    "1000": 401,
    "1001": 401,
    "1002": 401,
    "1003": 401,
    "1004": 401,
    "1113": 429,
    "1210": 400,
    "1211": 400,
    "1261": 400,
    "1301": 400,
    "1302": 429,
    "1303": 429,
    "1304": 429,
    "1305": 429,
    "1308": 429,
    "1310": 429,
    "500": 500,
}


@pytest.mark.parametrize(("code", "status"), GLM_CODES.items())
async def test_each_inner_code_of_glm(
    sim: SimulatorServer, client: aiohttp.ClientSession, code: str, status: int
) -> None:
    async with asked(sim, client, f"code={code}", STREAM) as answer:
        error = (await answer.json())["error"]
    assert answer.status == status
    assert error["code"] == code
    assert set(error) == {"code", "message"}
    assert ("reset at 2030-01-01" in error["message"]) is (code in ("1308", "1310"))


STATUSES = [
    ("kimi", 400, "invalid_request_error"),
    ("kimi", 401, "invalid_authentication_error"),
    ("kimi", 403, "exceeded_current_quota_error"),
    ("kimi", 429, "rate_limit_reached_error"),
    ("kimi", 500, "server_error"),
    ("kimi", 502, "server_error"),
    ("kimi", 418, "invalid_request_error"),
    ("glm", 401, "1000"),
    ("glm", 403, "1220"),
    ("glm", 429, "1302"),
    ("glm", 503, "500"),
]


@pytest.mark.parametrize(("provider", "status", "mark"), STATUSES)
async def test_each_status_in_the_vendors_shape(
    sim: SimulatorServer, client: aiohttp.ClientSession, provider: str, status: int, mark: str
) -> None:
    url = (sim.kimi_url if provider == "kimi" else sim.glm_url) + "/models"
    async with client.get(url, headers={"X-Exai-Fault": f"status={status}"}) as answer:
        error = (await answer.json())["error"]
    assert answer.status == status
    assert mark in (error.get("code"), error.get("type"))


async def test_a_status_goes_over_the_codes_own(sim: SimulatorServer, client: aiohttp.ClientSession) -> None:
    async with asked(sim, client, "status=503; code=1302") as answer:
        assert answer.status == 503
        assert (await answer.json())["error"]["code"] == "1302"


async def test_rate_limit_headers(sim: SimulatorServer, client: aiohttp.ClientSession) -> None:
    async with asked(sim, client, "status=429; retry-after=1.5") as answer:
        headers = answer.headers
    assert headers["Retry-After"] == "1.5"
    assert headers["X-RateLimit-Limit"] == "3"
    assert headers["X-RateLimit-Remaining"] == "0"
    assert headers["X-RateLimit-Reset"] == "1.5"


async def test_heals_after_the_first_requests(sim: SimulatorServer, client: aiohttp.ClientSession) -> None:
    async def statuses(fault: str) -> list[int]:
        found = []
        for _ in range(4):
            async with asked(sim, client, fault) as answer:
                found.append(answer.status)
        return found

    assert await statuses("status=503; first=2") == [503, 503, 200, 200]
    assert await statuses("status=500; first=1; counter=a") == [500, 200, 200, 200]
    assert await statuses("status=502; first=2; counter=a") == [200, 200, 200, 200]


@pytest.mark.parametrize("body", [WHOLE, STREAM])
async def test_resets_before_an_answer(
    sim: SimulatorServer, client: aiohttp.ClientSession, body: dict[str, Any]
) -> None:
    with pytest.raises(aiohttp.ClientOSError):
        await asked(sim, client, "reset", body)
    assert sim.state.total("faulted") == 1


async def gather(answer: aiohttp.ClientResponse, got: list[bytes]) -> None:
    async for data in answer.content.iter_any():
        got.append(data)  # noqa: PERF401 - what came before the error counts


@pytest.mark.parametrize("cut", [0, 2, 1000])
async def test_cuts_a_stream_after_its_pieces(
    sim: SimulatorServer, client: aiohttp.ClientSession, cut: int
) -> None:
    got: list[bytes] = []
    async with asked(sim, client, f"cut={cut}; chunks=4", STREAM) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await gather(answer, got)
    assert b"[DONE]" not in b"".join(got)
    assert b"".join(got).count(b"data: ") == 1 + min(cut, 4)
    assert sim.state.seen[-1].pieces == min(cut, 4)


async def test_cuts_a_whole_answer_in_its_body(sim: SimulatorServer, client: aiohttp.ClientSession) -> None:
    async with asked(sim, client, "cut=0") as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


@pytest.mark.parametrize(
    ("fault", "line"), [("malformed", 1), ("malformed; at=2", 3), ("malformed; at=99", 5)]
)
async def test_sends_a_line_that_is_no_json(
    sim: SimulatorServer, client: aiohttp.ClientSession, fault: str, line: int
) -> None:
    async with asked(sim, client, fault + "; chunks=4", STREAM) as answer:
        text = await answer.text()
    lines = [part[6:] for part in text.split("\n\n") if part]
    bad = [number for number, data in enumerate(lines[:-1]) if not is_json(data)]
    assert bad == [line]
    assert lines[-1] == "[DONE]"


def is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


@pytest.mark.parametrize("fault", ["malformed", "truncate"])
async def test_a_whole_answer_that_is_no_json(
    sim: SimulatorServer, client: aiohttp.ClientSession, fault: str
) -> None:
    async with asked(sim, client, fault) as answer:
        assert answer.status == 200
        assert not is_json(await answer.text())


async def test_ends_without_done(sim: SimulatorServer, client: aiohttp.ClientSession) -> None:
    async with asked(sim, client, "no-done", STREAM) as answer:
        text = await answer.text()
    assert '"finish_reason":"stop"' in text
    assert "[DONE]" not in text


async def test_an_error_in_the_middle_of_a_stream(
    sim: SimulatorServer, client: aiohttp.ClientSession
) -> None:
    async with asked(sim, client, "code=1302; at=2; chunks=4", STREAM) as answer:
        assert answer.status == 200
        last = (await answer.text()).strip().split("\n\n")[-1]
    assert msgspec.json.decode(last[6:])["error"]["code"] == "1302"


WAITS = [
    ("latency=0.05", WHOLE, 0.05),
    ("latency=0.03; stall=0.03", WHOLE, 0.06),
    ("stall=0.05; at=1", WHOLE, 0.05),
    ("stall=0.05; at=2", STREAM, 0.05),
    ("pace=0.01; chunks=4", STREAM, 0.03),
]


@pytest.mark.parametrize(("fault", "body", "least_s"), WAITS)
async def test_waits_and_then_answers_well(
    sim: SimulatorServer, client: aiohttp.ClientSession, fault: str, body: dict[str, Any], least_s: float
) -> None:
    start = time.perf_counter()
    async with asked(sim, client, fault, body) as answer:
        text = await answer.text()
    assert time.perf_counter() - start >= least_s
    assert "[simulated]" in text
    assert sim.state.seen[-1].outcome == "completed"


async def test_jitter_repeats_with_its_seed() -> None:
    async with running_simulator(SimulatorOptions(seed=7)) as one, running_simulator() as other:
        first = [one.state.jitter(1.0) for _ in range(3)]
        second = [other.state.jitter(1.0) for _ in range(3)]
    async with running_simulator(SimulatorOptions(seed=7)) as again:
        assert [again.state.jitter(1.0) for _ in range(3)] == first
    assert second != first
    assert all(0 <= value <= 1 for value in first)


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        ("latency=60", WHOLE),
        ("stall=60", STREAM),
        ("stall=60; at=2", STREAM),
        ("stall=60; at=1", WHOLE),
        ("pace=60", STREAM),
    ],
)
async def test_notices_a_client_that_leaves(
    sim: SimulatorServer, client: aiohttp.ClientSession, fault: str, body: dict[str, Any]
) -> None:
    async def read() -> None:
        async with asked(sim, client, fault, body) as answer:
            await answer.read()

    task = asyncio.create_task(read())
    assert await sim.state.wait(in_flight=1, timeout_s=5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await sim.state.wait(aborted=1, idle=1, timeout_s=5)
    assert sim.state.seen[-1].outcome == "aborted"


@pytest.mark.parametrize(
    ("fault", "field"),
    [("latency=x", "latency"), ("what=1", "what"), ("code=9999", "code"), ("cut=1;cut=1", "cut")],
)
async def test_names_the_field_of_a_bad_fault(
    sim: SimulatorServer, client: aiohttp.ClientSession, fault: str, field: str
) -> None:
    async with asked(sim, client, fault) as answer:
        body = await answer.json()
    assert answer.status == 400
    assert body["error"]["field"] == field


async def test_the_servers_own_faults_hit_every_request(client: aiohttp.ClientSession) -> None:
    options = SimulatorOptions(fault=parse_fault("status=500"), faults={"glm": parse_fault("code=1302")})
    async with running_simulator(options) as sim:
        async with client.get(sim.kimi_url + "/models") as answer:
            assert answer.status == 500
        async with client.get(sim.glm_url + "/models") as answer:
            assert answer.status == 429
        async with asked(sim, client, "") as answer:
            assert answer.status == 200
