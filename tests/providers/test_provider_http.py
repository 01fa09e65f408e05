"""Completions over real HTTP, with everything that can go wrong on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pytest

from exai_ops.errors import (
    BreakerOpen,
    ModelNotFound,
    ProviderAuthError,
    ProviderError,
    ProviderQuotaExhausted,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from exai_ops.monitor.events import unpacked
from exai_ops.providers.router import Providers
from exai_ops.providers.simulator import SimulatorServer, parse_fault, running_simulator
from exai_ops.providers.types import ChatRequest, Message
from exai_ops.settings import Settings

KIMI, GLM = "kimi-latest", "glm-4.6"


Opened: TypeAlias = Callable[..., AbstractAsyncContextManager[Providers]]


class Events:
    """The monitor's place: keeps what it is told, and tells a test the time."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, Any]]] = []
        self.now = 1000.0

    def __call__(self, connection_type: str, direction: str, **event: Any) -> None:
        event["metadata"] = unpacked(event["metadata"])
        self.seen.append((connection_type, direction, event))

    def directions(self) -> list[str]:
        return [direction for _, direction, _ in self.seen]

    def clock(self) -> float:
        return self.now


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    async with running_simulator() as server:
        yield server


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def opened(sim: SimulatorServer, events: Events) -> Opened:
    """Providers that the simulator answers for; keyword arguments are settings."""

    @contextlib.asynccontextmanager
    async def open_providers(**fields: Any) -> AsyncIterator[Providers]:
        settings = Settings(**fields)
        async with Providers(
            settings, record=events, simulated_base_url=sim.base_url, clock=events.clock
        ) as providers:
            yield providers

    return open_providers


def ask(text: str = "hello", **fields: Any) -> ChatRequest:
    return ChatRequest(messages=(Message("user", text),), **fields)


class Deltas(list[str]):
    """The pieces that were handed on."""

    def __init__(self) -> None:
        super().__init__()
        self.first = asyncio.Event()

    async def take(self, text: str) -> None:
        self.append(text)
        self.first.set()


@pytest.mark.parametrize("model", [KIMI, GLM])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer(opened: Opened, events: Events, model: str, stream: bool) -> None:
    deltas = Deltas()
    async with opened() as providers:
        done = await providers.complete(ask(model=model), on_delta=deltas.take if stream else None)
    assert 'You now say: "hello"' in done.text
    assert "".join(deltas) == (done.text if stream else "")
    assert (done.model, done.simulated, done.attempts, done.finish_reason) == (model, True, 1, "stop")
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens > 0
    assert 0 < done.first_token_s <= done.duration_s
    assert events.directions() == ["send", "receive"]
    assert all(name == done.provider for name, _, _ in events.seen)
    assert "hello" not in repr(events.seen)


async def test_events_say_what_it_cost(opened: Opened, events: Events) -> None:
    async with opened() as providers:
        done = await providers.complete(ask(model=GLM), on_delta=Deltas().take)
    received = events.seen[1][2]
    assert received["data_size_bytes"] > len(done.text)
    assert received["response_time_ms"] > 0
    assert received["metadata"]["completion_tokens"] == done.usage.completion_tokens
    assert received["metadata"]["first_token_ms"] > 0
    assert (received["metadata"]["model"], received["metadata"]["attempt"]) == (GLM, 1)


async def test_thinking_is_kept_apart(opened: Opened) -> None:
    async with opened() as providers:
        streamed = await providers.complete(ask(model=GLM, thinking=True), on_delta=Deltas().take)
        whole = await providers.complete(ask(model=GLM, thinking=True))
        without = await providers.complete(ask(model=GLM, thinking=False))
    assert streamed.reasoning == whole.reasoning != ""
    assert without.reasoning == ""


@pytest.mark.parametrize("stream", [False, True])
async def test_kimi_searches_and_then_answers(opened: Opened, sim: SimulatorServer, stream: bool) -> None:
    request = ask(model=KIMI, web_search=True, fault="search-round")
    async with opened() as providers:
        done = await providers.complete(request, on_delta=Deltas().take if stream else None)
    assert "Searched the web" in done.text
    assert (done.attempts, done.finish_reason) == (2, "stop")
    second = sim.state.seen[1].as_dict()["body"]["messages"]
    arguments = second[1]["tool_calls"][0]["function"]["arguments"]
    assert second[2]["role"] == "tool"
    assert second[2]["content"] == arguments


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        "status=500; first=1",
        "status=503; retry-after=0.05; first=1",
        "status=408; first=1",
        "status=429; retry-after=0.05; first=1",
        "reset; first=1",
        "cut=0; first=1",
        "malformed; first=1",
    ],
)
async def test_what_passes_is_tried_again(opened: Opened, events: Events, fault: str, stream: bool) -> None:
    async with opened() as providers:
        done = await providers.complete(
            ask(model=KIMI, fault=fault), on_delta=Deltas().take if stream else None
        )
    assert done.attempts == 2
    assert events.directions() == ["send", "rate_limit" if "429" in fault else "error", "send", "receive"]
    assert [event["metadata"]["attempt"] for _, _, event in events.seen] == [1, 1, 2, 2]


async def test_truncated_json_is_tried_again(opened: Opened) -> None:
    async with opened() as providers:
        assert (await providers.complete(ask(model=GLM, fault="truncate; first=1"))).attempts == 2


async def test_attempts_are_bounded(opened: Opened, sim: SimulatorServer) -> None:
    async with opened(provider_attempts=2) as providers:
        with pytest.raises(ProviderUnavailable, match="HTTP 500"):
            await providers.complete(ask(model=KIMI, fault="status=500; retry-after=0.01"))
    assert sim.state.total("received") == 2


@pytest.mark.parametrize(
    ("model", "fault", "kind"),
    [
        (KIMI, "status=400", ProviderRejected),
        (KIMI, "status=401", ProviderAuthError),
        (KIMI, "status=403", ProviderQuotaExhausted),
        (KIMI, "status=404", ModelNotFound),
        *((GLM, f"code={code}", ProviderAuthError) for code in range(1000, 1005)),
        (GLM, "code=1113", ProviderQuotaExhausted),
        (GLM, "code=1211", ModelNotFound),
        (GLM, "code=1261", ProviderRejected),
        (GLM, "code=1301", ProviderRejected),
        (GLM, "code=1304", ProviderQuotaExhausted),
        (GLM, "code=1308", ProviderQuotaExhausted),
        (GLM, "code=1310", ProviderQuotaExhausted),
    ],
)
async def test_what_stays_wrong_is_asked_once(
    opened: Opened, sim: SimulatorServer, model: str, fault: str, kind: type[ProviderError]
) -> None:
    async with opened() as providers:
        with pytest.raises(kind):
            await providers.complete(ask(model=model, fault=fault))
        assert sim.state.total("received") == 1
        assert [state.breaker for state in providers.states()] == ["closed", "closed"]
        at_fault = not issubclass(kind, ProviderRejected | ModelNotFound)
        assert any(state.last_error for state in providers.states()) is at_fault


async def test_an_error_is_the_last_one_until_the_next_answer(opened: Opened) -> None:
    async with opened(provider_attempts=1) as providers:
        with pytest.raises(ProviderUnavailable):
            await providers.complete(ask(model=KIMI, fault="status=500"))
        with pytest.raises(ProviderRejected):
            await providers.complete(ask(model=KIMI, fault="status=400"))
        assert [bool(state.last_error) for state in providers.states()] == [True, False]
        await providers.complete(ask(model=KIMI))
        assert not any(state.last_error for state in providers.states())


async def test_a_wait_beyond_the_deadline_is_not_begun(opened: Opened, sim: SimulatorServer) -> None:
    async with opened(tool_timeout_s=5) as providers:
        with pytest.raises(ProviderRateLimited) as caught:
            await providers.complete(ask(model=GLM, fault="code=1302; retry-after=60"))
    assert caught.value.retry_after_s == 60
    assert sim.state.total("received") == 1


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("cut=3", ProviderUnavailable, "stream cut after"),
        ("malformed; at=3", ProviderUnavailable, "malformed"),
        ("status=500; at=3", ProviderUnavailable, "unavailable"),
        ("stall=60; at=3", ProviderTimeout, "stalled"),
    ],
)
async def test_nothing_is_tried_again_after_the_first_piece(
    opened: Opened, sim: SimulatorServer, fault: str, kind: type[ProviderError], words: str
) -> None:
    deltas = Deltas()
    async with opened(idle_timeout_s=0.2) as providers:
        with pytest.raises(kind, match=words):
            # No model is named: a failover would be allowed if nothing had been streamed.
            await providers.complete(ask(fault=f"{fault}; chunks=9"), on_delta=deltas.take)
    assert 0 < len(deltas) <= 4
    assert sim.state.total("received") == 1


async def test_a_stream_without_done_is_whole_when_it_gave_its_reason(opened: Opened) -> None:
    async with opened() as providers:
        done = await providers.complete(ask(model=KIMI, fault="no-done"), on_delta=Deltas().take)
    assert (done.finish_reason, done.attempts) == ("stop", 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_deadline_closes_the_socket(opened: Opened, sim: SimulatorServer, stream: bool) -> None:
    async with opened(tool_timeout_s=0.2) as providers:
        with pytest.raises(ProviderTimeout, match=r"within 0\.2 s"):
            await providers.complete(
                ask(model=KIMI, fault="stall=60"), on_delta=Deltas().take if stream else None
            )
        assert await sim.state.wait(timeout_s=1, aborted=1)
        assert providers.states()[0].consecutive_failures == 1


@pytest.mark.parametrize("fault", ["stall=60; at=2", "latency=60"])
async def test_cancelling_closes_the_socket(
    opened: Opened, sim: SimulatorServer, events: Events, fault: str
) -> None:
    deltas = Deltas()
    async with opened() as providers:
        call = asyncio.create_task(providers.complete(ask(model=KIMI, fault=fault), on_delta=deltas.take))
        assert await sim.state.wait(timeout_s=2, received=1)
        if "at=" in fault:
            async with asyncio.timeout(2):
                await deltas.first.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await sim.state.wait(timeout_s=1, aborted=1)
        assert providers.states()[0].consecutive_failures == 0
    assert events.seen[-1][1] == "error"
    assert events.seen[-1][2]["error"] == "CancelledError"


async def test_an_error_of_the_callback_is_not_the_providers(opened: Opened, sim: SimulatorServer) -> None:
    async def gone(_: str) -> None:
        raise ConnectionResetError("the client left")

    async with opened() as providers:
        with pytest.raises(ConnectionResetError, match="the client left"):
            await providers.complete(ask(fault="pace=0.01; chunks=50"), on_delta=gone)
        assert await sim.state.wait(timeout_s=1, aborted=1)
        assert providers.states()[0].consecutive_failures == 0


async def test_connections_are_used_again(opened: Opened, sim: SimulatorServer) -> None:
    async with opened() as providers:
        for stream in (True, False, True):
            await providers.complete(ask(model=KIMI), on_delta=Deltas().take if stream else None)
        assert len(sim._connections.connections) == 1


async def test_an_open_breaker_is_not_asked_and_a_trial_closes_it(
    opened: Opened, sim: SimulatorServer, events: Events
) -> None:
    entered: list[str] = []

    async def enter(name: str) -> None:
        entered.append(name)

    async with opened(provider_attempts=1, breaker_failures=2, breaker_reset_s=30) as providers:
        for _ in range(2):
            with pytest.raises(ProviderUnavailable, match="HTTP 500"):
                await providers.complete(ask(model=KIMI, fault="status=500"))
        with pytest.raises(BreakerOpen) as caught:
            await providers.complete(ask(model=KIMI), enter=enter)
        assert caught.value.retry_after_s == 30
        assert (sim.state.total("received"), entered) == (2, [])
        assert providers.states()[0].breaker == "open"
        assert providers.usable()  # the other one is
        events.now += 30
        await providers.complete(ask(model=KIMI), enter=enter)
        assert providers.states()[0].breaker == "closed"
        assert entered == ["kimi"]


async def test_retries_end_when_the_breaker_opens(opened: Opened, sim: SimulatorServer) -> None:
    async with opened(provider_attempts=5, breaker_failures=2) as providers:
        with pytest.raises(ProviderUnavailable, match="HTTP 500"):
            await providers.complete(ask(model=KIMI, fault="status=500; retry-after=0.01"))
    assert sim.state.total("received") == 2


async def test_a_cancelled_trial_leaves_room_for_the_next(
    opened: Opened, sim: SimulatorServer, events: Events
) -> None:
    async with opened(provider_attempts=1, breaker_failures=1, breaker_reset_s=30) as providers:
        with pytest.raises(ProviderUnavailable):
            await providers.complete(ask(model=KIMI, fault="status=500"))
        events.now += 30
        trial = asyncio.create_task(providers.complete(ask(model=KIMI, fault="stall=60")))
        assert await sim.state.wait(timeout_s=2, received=2)
        with pytest.raises(BreakerOpen):
            await providers.complete(ask(model=KIMI))
        trial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trial
        await providers.complete(ask(model=KIMI))


async def test_a_trial_that_streams_lets_others_in(
    opened: Opened, sim: SimulatorServer, events: Events
) -> None:
    async with opened(provider_attempts=1, breaker_failures=1, breaker_reset_s=30) as providers:
        with pytest.raises(ProviderUnavailable):
            await providers.complete(ask(model=KIMI, fault="status=500"))
        events.now += 30
        deltas = Deltas()
        trial = asyncio.create_task(
            providers.complete(ask(model=KIMI, fault="stall=60; at=1"), on_delta=deltas.take)
        )
        async with asyncio.timeout(5):
            await deltas.first.wait()
        await providers.complete(ask(model=KIMI))
        trial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trial
        assert providers.states()[0].breaker == "closed"


@pytest.mark.parametrize(
    "fault",
    ["status=500; retry-after=0.01", "status=401", "status=403", "status=429; retry-after=30", "reset"],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_other_provider_steps_in(
    opened: Opened, sim: SimulatorServer, fault: str, stream: bool
) -> None:
    sim.state.set_fault("kimi", parse_fault(fault))
    entered: list[str] = []

    async def enter(name: str) -> None:
        entered.append(name)

    async with opened(provider_attempts=2) as providers:
        done = await providers.complete(ask(), on_delta=Deltas().take if stream else None, enter=enter)
    assert (done.provider, done.model, done.failed_over_from) == ("glm", GLM, "kimi")
    assert entered == ["kimi", "glm"]


async def test_an_open_breaker_sends_the_call_to_the_other_provider(
    opened: Opened, sim: SimulatorServer
) -> None:
    async with opened(provider_attempts=1, breaker_failures=1) as providers:
        with pytest.raises(ProviderUnavailable):
            await providers.complete(ask(model=KIMI, fault="status=500"))
        assert [name for name, _ in providers.candidates(None)] == ["glm", "kimi"]
        done = await providers.complete(ask())
    assert (done.provider, done.failed_over_from, done.attempts) == ("glm", "kimi", 1)
    assert sim.state.total("received", "kimi") == 1


@pytest.mark.parametrize(("fault", "kind"), [("status=400", ProviderRejected), ("status=404", ModelNotFound)])
async def test_a_refused_request_stays(
    opened: Opened, sim: SimulatorServer, fault: str, kind: type[ProviderError]
) -> None:
    sim.state.set_fault("kimi", parse_fault(fault))
    async with opened() as providers:
        with pytest.raises(kind):
            await providers.complete(ask())
    assert sim.state.total("received") == 1


async def test_a_named_model_stays_with_its_provider(opened: Opened, sim: SimulatorServer) -> None:
    sim.state.set_fault("kimi", parse_fault("status=401"))
    async with opened() as providers:
        with pytest.raises(ProviderAuthError):
            await providers.complete(ask(model="kimi"))
    assert sim.state.total("received", "glm") == 0


async def test_when_all_fail_the_first_one_speaks(opened: Opened, sim: SimulatorServer) -> None:
    sim.state.set_fault("kimi", parse_fault("status=401"))
    sim.state.set_fault("glm", parse_fault("code=1113"))
    async with opened() as providers:
        with pytest.raises(ProviderAuthError) as caught:
            await providers.complete(ask())
    assert caught.value.provider == "kimi"
    assert "1113" in (caught.value.hint or "")


async def test_many_at_once_do_not_mix(opened: Opened) -> None:
    async with opened() as providers:
        asked = [f"question {n}" for n in range(40)]
        calls = [
            providers.complete(ask(text, model=(KIMI, GLM)[n % 2]), on_delta=Deltas().take if n % 3 else None)
            for n, text in enumerate(asked)
        ]
        answers = await asyncio.gather(*calls)
    assert all(f'"{text}"' in done.text for text, done in zip(asked, answers, strict=True))
