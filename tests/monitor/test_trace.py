from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.monitor import trace
from exai_ops.monitor.events import CONNECTION_TYPES, DIRECTIONS, Event

T = 1_000_000.0
IDS = {"session": "s1", "request": "r1"}


def at(
    ms: float, type_: str, direction: str, function: str, took_ms: float | None = None, **more: Any
) -> Event:
    error = more.pop("error", None)
    return Event(T + ms / 1000, type_, direction, "t", function, 0, took_ms, error, IDS | more)


def came(ms: float = 0) -> Event:
    return at(ms, "websocket", "receive", "call_tool", tool="chat")


def asked(ms: float, provider: str = "kimi") -> Event:
    return at(ms, provider, "send", "stream", model="m", attempt=1)


def answered(ms: float, took_ms: float, provider: str = "kimi", **more: Any) -> Event:
    return at(ms, provider, "receive", "stream", took_ms, status=200, **more)


def failed(ms: float, took_ms: float, provider: str = "kimi", **more: Any) -> Event:
    return at(ms, provider, "rate_limit", "stream", took_ms, status=429, error="too many", **more)


def ended(ms: float, *, error: str | None = None, **more: Any) -> Event:
    return at(ms, "websocket", "send" if error is None else "error", "chat", ms, error=error, **more)


Row = tuple[str, float, float, int]
WATERFALLS: list[tuple[str, list[Event], list[Row]]] = [
    ("nothing", [], []),
    ("only that it came", [came()], [("chat", 0, 0, 0)]),
    (
        "a plain call",
        [
            came(),
            asked(2),
            answered(50, 48, first_token_ms=20),
            ended(52, queue_wait_ms=0.5, journal_ms=1, result_ms=2),
        ],
        [
            ("chat", 0, 52, 0),
            ("queue", 0, 0.5, 1),
            ("journal", 0.5, 1, 1),
            ("kimi 1", 2, 48, 1),
            ("first token", 2, 20, 2),
            ("streaming", 22, 28, 2),
            ("result", 50, 2, 1),
        ],
    ),
    (
        "the result alone",
        [ended(10, queue_wait_ms=4, journal_ms=1, result_ms=1)],
        [("chat", 0, 10, 0), ("queue", 0, 4, 1), ("journal", 4, 1, 1), ("result", 9, 1, 1)],
    ),
    (
        "it waited for its permit",
        [came(), at(30, "permits", "receive", "take", 30), ended(40, queue_wait_ms=30)],
        [("chat", 0, 40, 0), ("queue", 0, 30, 1)],
    ),
    (
        "refused for want of capacity",
        [came(), ended(30, error="OVER_CAPACITY")],
        [("chat", 0, 30, 0), ("queue", 0, 30, 1)],
    ),
    (
        "refused, and asked again",
        [
            came(),
            at(30, "websocket", "error", "chat", 30, error="OVER_CAPACITY"),
            came(1000),
            at(1010, "websocket", "send", "chat", 10, queue_wait_ms=4),
        ],
        [("chat", 0, 1010, 0), ("refused", 0, 30, 1), ("queue", 1000, 4, 1)],
    ),
    (
        "a retry after a pause",
        [asked(0), failed(10, 10), asked(210), answered(220, 10), ended(220)],
        [("chat", 0, 220, 0), ("kimi 1", 0, 10, 1), ("backoff", 10, 200, 1), ("kimi 2", 210, 10, 1)],
    ),
    (
        "the other provider",
        [
            asked(0),
            failed(10, 10),
            at(15, "permits", "receive", "switch", 4, provider="glm"),
            asked(16, "glm"),
            answered(20, 4, "glm"),
            ended(20),
        ],
        [
            ("chat", 0, 20, 0),
            ("kimi 1", 0, 10, 1),
            ("failover", 10, 6, 1),
            ("permit glm", 11, 4, 1),
            ("glm 1", 16, 4, 1),
        ],
    ),
    (
        "still at work",
        [came(), asked(5), at(9, "sqlite", "send", "write")],
        [("chat", 0, 9, 0), ("kimi 1", 5, 4, 1)],
    ),
    (
        "the request to the provider has left the ring",
        [answered(50, 40), ended(60)],
        [("chat", 0, 60, 0), ("kimi 1", 10, 40, 1)],
    ),
]


@pytest.mark.parametrize(("events", "rows"), [w[1:] for w in WATERFALLS], ids=[w[0] for w in WATERFALLS])
def test_spans(events: list[Event], rows: list[Row]) -> None:
    found = [
        (s.name, round((s.started_at - T) * 1000, 3), round(s.duration_ms, 3), s.depth)
        for s in trace.spans(events)
    ]
    assert found == rows


def test_what_went_wrong_and_what_is_open() -> None:
    call, attempt = trace.spans([came(), asked(5)])
    assert (call.open, attempt.open, call.error) == (True, True, None)
    call, attempt = trace.spans([failed(5, 5, retry_after_s=2), ended(6, error="EXEC_ERROR")])
    assert (call.error, attempt.error) == ("EXEC_ERROR", "too many")
    assert attempt.detail == {"status": 429, "retry_after_s": 2}


def test_calls_are_told_apart_by_session_and_request() -> None:
    def event(session: str, request: str) -> Event:
        return Event(T, "kimi", "send", "t", "f", metadata={"session": session, "request": request})

    events = [
        event("s1", "r1"),
        event("s2", "r1"),
        event("s1", "r2"),
        event("s1", "r1"),
        Event(T, "a", "b", "c", "d"),
    ]
    assert {key: len(of) for key, of in trace.calls(events, "r1").items()} == {
        ("s1", "r1"): 2,
        ("s2", "r1"): 1,
    }
    assert list(trace.calls(events, "r", session="s1")) == [("s1", "r1"), ("s1", "r2")]
    assert trace.calls(events, "nobody") == {}


EVENTS = st.lists(
    st.builds(
        Event,
        st.floats(min_value=0, max_value=2e9),
        st.sampled_from([*CONNECTION_TYPES, "permits"]),
        st.sampled_from(DIRECTIONS),
        st.just("t"),
        st.sampled_from(["take", "switch", "chat", "\x1b[31m"]),
        st.just(0),
        st.none() | st.floats(min_value=0, max_value=1e9),
        st.none() | st.text(),
        st.none()
        | st.dictionaries(
            st.sampled_from(["first_token_ms", "queue_wait_ms", "journal_ms", "result_ms", "tool", "model"]),
            st.none() | st.booleans() | st.text() | st.floats() | st.lists(st.integers()),
        ),
    ),
    max_size=12,
)


@given(EVENTS, st.integers(min_value=0, max_value=200))
def test_any_events_give_spans_that_can_be_drawn(events: list[Event], width: int) -> None:
    found = trace.spans(events)
    assert bool(found) == bool(events)
    assert all(span.duration_ms >= 0 for span in found)
    drawn = trace.waterfall(found, width)
    assert "\x1b" not in drawn
    assert max(map(len, drawn.split("\n"))) <= max(width, 26) + 25


def test_a_drawing() -> None:
    events = [
        came(),
        asked(100),
        failed(200, 100, retry_after_s=0.1),
        asked(300),
        answered(800, 500, first_token_ms=250, prompt_tokens=5),
        ended(800, queue_wait_ms=100, result_ms=0),
    ]
    assert trace.waterfall(trace.spans(events), 68).split("\n") == [
        "chat            ████████████████████████████████████████   800.0 ms",
        "  queue         █████                                      100.0 ms",
        "  kimi 1             █████                                 100.0 ms",
        "    too many; status=429 retry_after_s=0.1",
        "  backoff                 █████                            100.0 ms",
        "  kimi 2                       █████████████████████████   500.0 ms",
        "    status=200 prompt_tokens=5",
        "    first token                ████████████▌               250.0 ms",
        "    streaming                              ████████████▌   250.0 ms",
        "  result                                               ▏   0.000 ms",
    ]
