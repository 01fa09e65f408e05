"""The protocol without a socket: PROTOCOL.md's table, fuzzed input, and frames that come back whole."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exai_ops.daemon import protocol as p
from exai_ops.daemon.protocol import Refused, ServerProtocol, State

FIELDS: dict[str, set[str]] = {
    "hello": {"session_id", "token", "features", "resume"},
    "list_tools": set(),
    "call_tool": {"request_id", "name", "arguments", "stream", "detach"},
    "health": set(),
    "rotate_token": {"old", "new"},
    "cancel": {"request_id"},
    "result": {"request_id"},
}
DEEP = '{"op":"call_tool","request_id":"r1","name":"x","arguments":{"a":' + "[" * 5000 + "]" * 5000 + "}}"


def machine(state: State) -> ServerProtocol:
    made = ServerProtocol()
    if state is State.OPEN:
        made.opened()
    return made


def refusal(state: State, data: str | bytes) -> tuple[dict[str, Any], int | None]:
    answer = machine(state).receive(data)
    assert isinstance(answer, Refused), answer
    frame = json.loads(answer.frame)
    assert isinstance(frame, dict)
    return frame, answer.close


# --- the table -----------------------------------------------------------------------------------

ACCEPTED: list[tuple[State, str | bytes, p.ClientMessage]] = [
    (State.AWAITING_HELLO, '{"op":"hello"}', p.Hello()),
    (
        State.AWAITING_HELLO,
        '{"op":"hello","session_id":"s","token":"t"}',
        p.Hello(session_id="s", token="t"),
    ),
    (State.AWAITING_HELLO, '{"op":"hello","session_id":null,"token":null}', p.Hello()),
    (State.AWAITING_HELLO, '{"op":"hello","client":"bridge","version":3}', p.Hello()),
    (State.AWAITING_HELLO, b'{"op":"hello"}', p.Hello()),
    (
        State.AWAITING_HELLO,
        '{"op":"hello","session_id":"s","resume":"x","features":["stream","resume","new"]}',
        p.Hello(session_id="s", resume="x", features=["stream", "resume", "new"]),
    ),
    (State.OPEN, '{"op":"list_tools"}', p.ListTools()),
    (State.OPEN, '{"op":"health"}', p.Health()),
    (State.OPEN, ' {"op" : "health", "more": [1, {"a": null}]} ', p.Health()),
    (State.OPEN, '{"op":"rotate_token","old":"a","new":"b"}', p.RotateToken(old="a", new="b")),
    (State.OPEN, '{"op":"rotate_token"}', p.RotateToken()),
    (State.OPEN, '{"op":"cancel","request_id":"r1"}', p.Cancel("r1")),
    (State.OPEN, '{"op":"result","request_id":"r1"}', p.FetchResult("r1")),
    (
        State.OPEN,
        '{"op":"call_tool","request_id":"r1","name":"chat","arguments":{"a":1}}',
        p.CallTool("r1", "chat", {"a": 1}),
    ),
    (State.OPEN, '{"op":"call_tool","request_id":"r1","name":"chat"}', p.CallTool("r1", "chat")),
    (
        State.OPEN,
        '{"op":"call_tool","request_id":"r1","name":"chat","arguments":null}',
        p.CallTool("r1", "chat"),
    ),
    (
        State.OPEN,
        '{"op":"call_tool","request_id":"r1","name":"chat","arguments":{},"stream":true,"detach":true}',
        p.CallTool("r1", "chat", {}, stream=True, detach=True),
    ),
    (State.OPEN, '{"name":"chat","request_id":"é","op":"call_tool"}', p.CallTool("é", "chat")),
]


@pytest.mark.parametrize(("state", "data", "event"), ACCEPTED)
def test_understood(state: State, data: str | bytes, event: p.ClientMessage) -> None:
    before = machine(state)
    assert before.receive(data) == event
    assert before.state is state


NOT_LET_IN: list[tuple[str | bytes, str, int]] = [
    ("", "invalid_hello", 4000),
    ("hello", "invalid_hello", 4000),
    ("[]", "invalid_hello", 4000),
    ("null", "invalid_hello", 4000),
    ("{}", "invalid_hello", 4000),
    (b"\xff\xfe", "invalid_hello", 4000),
    ("\ud800", "invalid_hello", 4000),
    ('{"op":5}', "invalid_hello", 4000),
    ('{"op":"hello","token":5}', "invalid_hello", 4000),
    ('{"op":"hello","session_id":{}}', "invalid_hello", 4000),
    ('{"op":"hello","features":"stream"}', "invalid_hello", 4000),
    ('{"op":"health"}', "missing_hello", 4001),
    ('{"op":"list_tools"}', "missing_hello", 4001),
    ('{"op":"call_tool","request_id":"r1","name":"chat"}', "missing_hello", 4001),
    ('{"op":"call_tool","request_id":"","name":"chat"}', "missing_hello", 4001),
    ('{"op":"call_tool","request_id":5,"name":"chat"}', "missing_hello", 4001),
    ('{"op":"cancel","request_id":"' + "r" * 300 + '"}', "missing_hello", 4001),
    ('{"op":"nonsense"}', "missing_hello", 4001),
    (DEEP, "invalid_hello", 4000),
]


@pytest.mark.parametrize(("data", "error", "close"), NOT_LET_IN)
def test_a_bad_first_message_closes(data: str | bytes, error: str, close: int) -> None:
    frame, code = refusal(State.AWAITING_HELLO, data)
    assert (frame["op"], frame["ok"], frame["error"], code) == ("hello_ack", False, error, close)


REFUSED: list[tuple[str | bytes, str, str | None]] = [
    # what came, what the message begins with, the request it names
    ("", "invalid_json", None),
    ("hello", "invalid_json", None),
    ('{"op":"health"', "invalid_json", None),
    ('{"op":"health"} {}', "invalid_json", None),
    (b"\xff", "invalid_json", None),
    ("\ud800", "invalid_json", None),
    ("[1]", "invalid_message: expected object", None),
    ("7", "invalid_message: expected object", None),
    ("{}", "invalid_message: op: missing", None),
    ('{"op":null}', "invalid_message: op: ", None),
    ('{"op":["health"]}', "invalid_message: op: ", None),
    ('{"op":"nonsense"}', "Unknown op: nonsense", None),
    ('{"op":"nonsense","request_id":"r1"}', "Unknown op: nonsense", "r1"),
    ('{"op":"Health"}', "Unknown op: Health", None),
    ('{"op":"hello"}', "invalid_message: hello", None),
    ('{"op":"hello_ack","ok":true}', "Unknown op: hello_ack", None),
    ('{"op":"call_tool","name":"chat"}', "invalid_message: request_id: missing", None),
    ('{"op":"call_tool","request_id":7,"name":"chat"}', "invalid_message: request_id: ", None),
    ('{"op":"call_tool","request_id":"","name":"chat"}', "invalid_message: request_id: ", None),
    ('{"op":"call_tool","request_id":"r1"}', "invalid_message: name: missing", "r1"),
    ('{"op":"call_tool","request_id":"r1","name":null}', "invalid_message: name: ", "r1"),
    (
        '{"op":"call_tool","request_id":"r1","name":"x","arguments":[]}',
        "invalid_message: arguments: ",
        "r1",
    ),
    (
        '{"op":"call_tool","request_id":"r1","name":"x","stream":"yes"}',
        "invalid_message: stream: ",
        "r1",
    ),
    ('{"op":"call_tool","request_id":"r1","name":"x","detach":1}', "invalid_message: detach: ", "r1"),
    (
        '{"op":"call_tool","request_id":"r1","name":"x","arguments":{"a":1e999}}',
        "invalid_message: arguments",
        "r1",
    ),
    ('{"op":"cancel"}', "invalid_message: request_id: missing", None),
    ('{"op":"result","request_id":[]}', "invalid_message: request_id: ", None),
    ('{"op":"rotate_token","old":1,"new":"x"}', "invalid_message: old: ", None),
    (DEEP, "invalid_message: nested too deeply", None),
]


@pytest.mark.parametrize(("data", "message", "request_id"), REFUSED)
def test_a_bad_later_message_is_answered(data: str | bytes, message: str, request_id: str | None) -> None:
    frame, close = refusal(State.OPEN, data)
    assert close is None
    assert frame["op"] == "error"
    assert frame["message"].startswith(message)
    assert frame.get("request_id") == request_id


def test_an_unknown_op_is_not_repeated_at_length() -> None:
    frame, _ = refusal(State.OPEN, json.dumps({"op": "x" * 100_000}))
    assert len(frame["message"]) < 200


def test_a_long_request_id_names_the_field() -> None:
    frame, _ = refusal(State.OPEN, json.dumps({"op": "cancel", "request_id": "r" * 257}))
    assert "request_id" in frame["message"]
    assert isinstance(
        machine(State.OPEN).receive(json.dumps({"op": "cancel", "request_id": "r" * 256})), p.Cancel
    )


# --- 10,000 messages -----------------------------------------------------------------------------

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
states = st.sampled_from(list(State))
valid: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries(
        {"op": st.just("hello")},
        optional={"session_id": st.text(), "token": st.text(), "features": st.lists(st.text(), max_size=2)},
    ),
    st.fixed_dictionaries(
        {"op": st.just("call_tool"), "request_id": st.text(min_size=1, max_size=20), "name": st.text()},
        optional={
            "arguments": st.dictionaries(st.text(max_size=5), values, max_size=3),
            "stream": st.booleans(),
            "detach": st.booleans(),
        },
    ),
    st.fixed_dictionaries(
        {"op": st.sampled_from(["cancel", "result"]), "request_id": st.text(min_size=1, max_size=20)}
    ),
    st.fixed_dictionaries({"op": st.just("rotate_token")}, optional={"old": st.text(), "new": st.text()}),
    st.fixed_dictionaries({"op": st.sampled_from(["health", "list_tools"])}),
)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A valid message with one field replaced, removed, or joined by another."""
    message = dict(draw(valid))
    name = draw(st.sampled_from([*sorted(FIELDS[message["op"]]), "op", "other"]))
    if draw(st.booleans()):
        message.pop(name, None)
    else:
        message[name] = draw(values)
    return message


def judge(state: State, data: str | bytes) -> p.ClientMessage | dict[str, Any]:
    """What every answer to every input has in common."""
    subject = machine(state)
    answer = subject.receive(data)
    assert subject.state is state
    if not isinstance(answer, Refused):
        return answer
    frame = json.loads(answer.frame.encode("utf-8"))
    assert "Traceback" not in answer.frame
    if state is State.OPEN:
        assert answer.close is None
        assert frame["op"] == "error"
        assert frame["message"].startswith(("invalid_json", "invalid_message: ", "Unknown op: "))
    else:
        assert answer.close in (4000, 4001)
        assert (frame["op"], frame["ok"]) == ("hello_ack", False)
        assert frame["error"] == {4000: "invalid_hello", 4001: "missing_hello"}[answer.close]
    return dict(frame)


@settings(max_examples=3500, deadline=None)
@given(states, st.text() | st.text(alphabet='{}[]",:0123456789.eE+-\\ untrfalsop'))
def test_fuzz_text(state: State, data: str) -> None:
    judge(state, data)


@settings(max_examples=3500, deadline=None)
@given(states, st.binary(max_size=64))
def test_fuzz_bytes(state: State, data: bytes) -> None:
    judge(state, data)


@settings(max_examples=1500, deadline=None)
@given(states, values | st.dictionaries(st.sampled_from(["op", "request_id", "name", "arguments"]), values))
def test_fuzz_json(state: State, value: Any) -> None:
    judge(state, json.dumps(value))


@settings(max_examples=1500, deadline=None)
@given(states, mutated())
def test_fuzz_mutated(state: State, message: dict[str, Any]) -> None:
    answer = judge(state, json.dumps(message))
    op = message.get("op")
    if state is State.OPEN and isinstance(answer, dict) and isinstance(op, str):
        if op in FIELDS:
            assert any(name in answer["message"] for name in FIELDS[op] | {"hello"}), answer
        else:
            assert answer["message"] == f"Unknown op: {op}"


@settings(max_examples=300, deadline=None)
@given(valid)
def test_a_valid_message_is_understood(message: dict[str, Any]) -> None:
    state = State.AWAITING_HELLO if message["op"] == "hello" else State.OPEN
    answer = judge(state, json.dumps(message))
    assert not isinstance(answer, dict), answer
    again = msgspec.to_builtins(answer)
    assert message.items() <= again.items()
    assert machine(state).receive(msgspec.json.encode(answer)) == answer


# --- frames --------------------------------------------------------------------------------------

texts = st.text(alphabet=st.characters(codec=None), max_size=40)  # lone surrogates included


def test_the_frames_are_those_of_the_page() -> None:
    frames = [
        (
            p.progress("r1", "chat", 1795500745.4, p.ACCEPTED_NOTE),
            {
                "op": "progress",
                "request_id": "r1",
                "name": "chat",
                "t": 1795500745.4,
                "note": "accepted, awaiting provider/session capacity",
            },
        ),
        (
            p.call_ack("r1", "chat", 69.0),
            {"op": "call_tool_ack", "request_id": "r1", "accepted": True, "timeout": 69, "name": "chat"},
        ),
        (
            p.call_result("r1", "hi", None, {}),
            {
                "op": "call_tool_res",
                "request_id": "r1",
                "outputs": [{"type": "text", "text": "hi"}],
                "text": "hi",
            },
        ),
        (
            p.call_error("r1", p.OVER_CAPACITY, "full", retry_after=1),
            {
                "op": "call_tool_res",
                "request_id": "r1",
                "error": {"code": "OVER_CAPACITY", "message": "full", "retry_after": 1},
            },
        ),
        (p.stream_delta("r1", 0, "a"), {"op": "stream", "request_id": "r1", "seq": 0, "delta": "a"}),
        (p.hello_ack("u", None), {"op": "hello_ack", "ok": True, "session_id": "u"}),
        (p.hello_ack("u", "x"), {"op": "hello_ack", "ok": True, "session_id": "u", "resume": "x"}),
        (p.hello_refused("unauthorized"), {"op": "hello_ack", "ok": False, "error": "unauthorized"}),
        (p.error("Unknown op: X"), {"op": "error", "message": "Unknown op: X"}),
    ]
    for frame, expected in frames:
        assert json.loads(frame) == expected
    assert '"timeout":69,' in p.call_ack("r1", "chat", 69.0)  # an old client may want a whole number
    assert '"timeout":0.5,' in p.call_ack("r1", "chat", 0.5)


def plain(text: str) -> str:
    """The text as a frame can carry it: a lone surrogate has no UTF-8."""
    return text.encode("utf-8", "replace").decode()


@settings(max_examples=200, deadline=None)
@given(texts, texts, texts)
def test_frames_carry_any_text(request_id: str, name: str, text: str) -> None:
    made = [
        (p.progress(request_id, name, 1.5, text), "note"),
        (p.stream_delta(request_id, 3, text), "delta"),
        (p.call_result(request_id, text, {"t": text}, {"t": text}), "text"),
        (p.error(text, request_id), "message"),
    ]
    for frame, field in made:
        back = json.loads(frame.encode("utf-8"))
        assert back["request_id"] == plain(request_id)
        assert back[field] == plain(text)
    failed = json.loads(p.call_error(request_id, name, text, hint=text).encode("utf-8"))
    assert failed["error"] == {"code": plain(name), "message": plain(text), "hint": plain(text)}


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=5), values, max_size=3))
def test_structured_comes_back_equal(structured: dict[str, Any]) -> None:
    frame = json.loads(p.call_result("r1", "x", structured, structured))
    assert frame["structured"] == structured
    assert frame.get("metadata", {}) == structured
