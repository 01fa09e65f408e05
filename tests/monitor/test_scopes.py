from __future__ import annotations

import asyncio
from typing import Any

import pytest

from exai_ops.monitor.boundaries import Boundary, Provider, Redis, SQLite, Supabase, WebSocket
from exai_ops.monitor.events import Event
from exai_ops.monitor.recorder import Monitor
from exai_ops.monitor.scopes import Timed


def timed(monitor: Monitor, **more: Any) -> Timed:
    return monitor.timed("redis", "receive", script_name="t", function_name="hget", **more)


def only(monitor: Monitor) -> Event:
    (event,) = monitor.recent()
    return event


def test_a_call_is_timed_and_sized() -> None:
    monitor = Monitor()
    with timed(monitor, metadata={"db": 1}) as call:
        call.size_bytes = 5
        call.metadata["hit"] = True
    event = only(monitor)
    assert (event.connection_type, event.direction, event.function_name) == ("redis", "receive", "hget")
    assert (event.data_size_bytes, event.error, event.metadata) == (5, None, {"db": 1, "hit": True})
    assert event.response_time_ms is not None
    assert event.response_time_ms >= 0


async def test_the_time_of_an_async_call_is_its_own() -> None:
    monitor = Monitor()
    entered, leave = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with timed(monitor) as call:
            entered.set()
            await leave.wait()
            call.size_bytes = 1

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work())
        await entered.wait()
        assert monitor.recent() == []
        leave.set()
    assert only(monitor).data_size_bytes == 1


ENDS: list[tuple[BaseException, tuple[str, str | None, dict[str, Any] | None]]] = [
    (ValueError("s3cret"), ("error", "ValueError", None)),
    (asyncio.CancelledError(), ("receive", None, {"cut": "CancelledError"})),
    (KeyboardInterrupt(), ("receive", None, {"cut": "KeyboardInterrupt"})),
]


@pytest.mark.parametrize(("error", "told"), ENDS, ids=[type(e[0]).__name__ for e in ENDS])
async def test_what_ends_it_badly_is_told_and_goes_on(
    error: BaseException, told: tuple[str, str | None, dict[str, Any] | None]
) -> None:
    monitor = Monitor()
    with pytest.raises(type(error)) as caught, timed(monitor):
        raise error
    assert caught.value is error
    with pytest.raises(type(error)) as caught:
        async with timed(monitor):
            raise error
    assert caught.value is error
    for event in monitor.recent():
        assert (event.direction, event.error, event.metadata) == told
    assert len(monitor.recent()) == 2
    assert "s3cret" not in monitor.export().decode()


def test_the_caller_may_say_what_went_wrong() -> None:
    monitor = Monitor()
    with timed(monitor) as call:
        call.error, call.failed_as = "no such key", "reject"
    assert (only(monitor).direction, only(monitor).error) == ("reject", "no such key")


def scopes(monitor: Monitor) -> list[Timed]:
    return [
        Redis(monitor, "t").command("HGET"),
        Redis(monitor, "t").command("hset"),
        Supabase(monitor, "t").query("select", "calls"),
        Supabase(monitor, "t").query("UPSERT", "calls"),
        SQLite(monitor, "t").statement("SELECT"),
        SQLite(monitor, "t").statement("insert"),
    ]


def test_each_kind_has_its_words() -> None:
    monitor = Monitor()
    for scope in scopes(monitor):
        with scope:
            pass
    told = [(event.connection_type, event.direction, event.function_name) for event in monitor.recent()]
    assert told == [
        ("redis", "receive", "hget"),
        ("redis", "send", "hset"),
        ("supabase", "receive", "select"),
        ("supabase", "send", "upsert"),
        ("sqlite", "receive", "select"),
        ("sqlite", "send", "insert"),
    ]


def test_what_the_protocol_samples_is_what_these_name() -> None:
    monitor = Monitor()
    for _ in range(100):
        with Redis(monitor, "t").command("GET"):
            pass
        with Redis(monitor, "t").command("SET"):
            pass
        with Supabase(monitor, "t").query("select", "calls", simple=True):
            pass
    assert len(monitor.recent()) == 30
    assert {event.weight for event in monitor.recent()} == {10}


def test_plain_events() -> None:
    monitor = Monitor()
    socket = WebSocket(monitor, "t")
    socket.sent("answer", 10, 2.0, session="s")
    socket.received("question", 5)
    socket.failed("answer", "boom")
    socket.rejected("guard", "no token")
    socket.rate_limited("answer", 3.0)
    with socket.connection(peer="x") as told:
        told["session"] = "s"
    events = monitor.recent()
    assert [
        (e.direction, e.function_name, e.data_size_bytes, e.response_time_ms, e.error) for e in events
    ] == [
        ("send", "answer", 10, 2.0, None),
        ("receive", "question", 5, None, None),
        ("error", "answer", 0, None, "boom"),
        ("reject", "guard", 0, None, "no token"),
        ("rate_limit", "answer", 0, None, "rate limited"),
        ("connect", "connection", 0, None, None),
        ("disconnect", "connection", 0, None, None),
    ]
    assert (events[0].metadata, events[4].metadata) == ({"session": "s"}, {"retry_after_s": 3.0})
    assert events[5].metadata == {"peer": "x"}
    assert events[6].metadata is not None
    assert {*events[6].metadata} == {"peer", "session", "duration_s"}


async def test_a_provider_is_asked_and_answers() -> None:
    monitor = Monitor()
    kimi = Provider(monitor, "kimi", "t")
    async with kimi.asking("stream", "m", request_bytes=9, request="r1") as asking:
        asking.first_token()
        asking.first_token()
        asking.answered(prompt_tokens=1, completion_tokens=2, size_bytes=30)
    sent, received = monitor.recent()
    assert (sent.direction, sent.data_size_bytes) == ("send", 9)
    assert sent.metadata == {"request": "r1", "model": "m", "attempt": 1}
    assert (received.direction, received.data_size_bytes) == ("receive", 30)
    assert received.metadata is not None
    assert received.metadata["completion_tokens"] == 2
    assert 0 <= received.metadata["first_token_ms"] <= (received.response_time_ms or 0)


@pytest.mark.parametrize(("status", "direction"), [(429, "rate_limit"), (500, "error")])
def test_a_provider_refuses(status: int, direction: str) -> None:
    monitor = Monitor()
    with Provider(monitor, "glm", "t").asking("complete", "m", attempt=2) as asking:
        asking.refused(status, "not now", retry_after_s=1.5)
    event = monitor.recent()[-1]
    assert (event.direction, event.error) == (direction, "not now")
    assert event.metadata is not None
    assert (event.metadata["status"], event.metadata["retry_after_s"]) == (status, 1.5)


def test_a_boundary_of_another_kind_has_its_own_name() -> None:
    monitor = Monitor()
    with Boundary(monitor, "smtp", "t").timed("mail"):
        pass
    assert only(monitor).connection_type == "smtp"
