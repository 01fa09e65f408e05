"""The WebSocket protocol of the daemon, without I/O: text in, messages out; frames as text.

``ServerProtocol`` is one connection's state. It is given what arrives and returns what it means::

    AWAITING_HELLO --Hello--> OPEN --CallTool, Cancel, ...--> OPEN
          |                     |
          +--Refused(close)-----+--Refused (an error frame, the connection lives)

A bad first message closes the connection (4000, 4001, 4003); a bad later one is answered by an error
frame that names the field. Nothing here reads a clock, a socket or the environment.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

CLOSE_INVALID: Final = 4000
CLOSE_NO_HELLO: Final = 4001
CLOSE_HELLO_LATE: Final = 4002
CLOSE_UNAUTHORIZED: Final = 4003
CLOSE_REPLACED: Final = 4004
CLOSE_POLICY: Final = 1008
CLOSE_TOO_LARGE: Final = 1009
CLOSE_RESTARTING: Final = 1012

TOOL_NOT_FOUND: Final = "TOOL_NOT_FOUND"
OVER_CAPACITY: Final = "OVER_CAPACITY"
DUPLICATE: Final = "DUPLICATE"
TIMEOUT: Final = "TIMEOUT"
EXEC_ERROR: Final = "EXEC_ERROR"
CANCELLED: Final = "CANCELLED"
INTERRUPTED: Final = "INTERRUPTED"
RUNNING: Final = "RUNNING"
NOT_FOUND: Final = "NOT_FOUND"

ACCEPTED_NOTE: Final = "accepted, awaiting provider/session capacity"
MAX_ID_CHARS: Final = 256


class Hello(msgspec.Struct, tag="hello", tag_field="op", frozen=True):
    """Opens a session, or takes one up again with its ``resume`` secret."""

    session_id: str | None = None
    token: str | None = None
    features: list[str] = []
    resume: str | None = None


class ListTools(msgspec.Struct, tag="list_tools", tag_field="op", frozen=True):
    """Asks for the tools."""


class CallTool(msgspec.Struct, tag="call_tool", tag_field="op", frozen=True):
    """Calls a tool. ``stream`` and ``detach`` are this daemon's additions."""

    request_id: str
    name: str
    arguments: dict[str, Any] | None = None
    stream: bool = False
    detach: bool = False


class Health(msgspec.Struct, tag="health", tag_field="op", frozen=True):
    """Asks for the daemon's health."""


class RotateToken(msgspec.Struct, tag="rotate_token", tag_field="op", frozen=True):
    """Replaces the token."""

    old: str | None = None
    new: str | None = None


class Cancel(msgspec.Struct, tag="cancel", tag_field="op", frozen=True):
    """Aborts a running call."""

    request_id: str


class FetchResult(msgspec.Struct, tag="result", tag_field="op", frozen=True):
    """Asks for the state of a call."""

    request_id: str


ClientMessage: TypeAlias = Hello | ListTools | CallTool | Health | RotateToken | Cancel | FetchResult


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that is answered here: send ``frame``, then close if ``close`` holds a code."""

    frame: str
    close: int | None = None
    reason: str = ""


class _Progress(msgspec.Struct, tag="progress", tag_field="op"):
    request_id: str
    name: str
    t: float
    note: str


class _Ack(msgspec.Struct, tag="call_tool_ack", tag_field="op"):
    request_id: str
    accepted: bool
    timeout: float
    name: str


class _Stream(msgspec.Struct, tag="stream", tag_field="op"):
    request_id: str
    seq: int
    delta: str


class _Text(msgspec.Struct):
    type: str
    text: str


class _Result(msgspec.Struct, tag="call_tool_res", tag_field="op", omit_defaults=True):
    request_id: str
    outputs: list[_Text]
    text: str
    structured: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class _Probe(msgspec.Struct):
    """The little that is read of a message that did not fit."""

    op: Any = None
    request_id: Any = None


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[ClientMessage]] = msgspec.json.Decoder(ClientMessage)
_PROBE: Final = msgspec.json.Decoder(_Probe)
_OPS: Final = frozenset(
    str(t.__struct_config__.tag)
    for t in (Hello, ListTools, CallTool, Health, RotateToken, Cancel, FetchResult)
)


def _text(frame: object) -> str:
    """A frame as text that has a UTF-8 form: a lone surrogate (of a file's name, say) becomes ``?``."""
    try:
        return _ENCODER.encode(frame).decode()
    except UnicodeEncodeError:
        return _ENCODER.encode(_speakable(msgspec.to_builtins(frame))).decode()


def _speakable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_speakable(key): _speakable(inner) for key, inner in value.items()}
    return [_speakable(inner) for inner in value] if isinstance(value, list) else value


def progress(request_id: str, name: str, now: float, note: str) -> str:
    """A progress frame; ``now`` in seconds since the epoch."""
    return _text(_Progress(request_id, name, now, note))


def call_ack(request_id: str, name: str, timeout_s: float) -> str:
    """The frame that says a call was accepted and journaled."""
    timeout = int(timeout_s) if timeout_s == int(timeout_s) else timeout_s
    return _text(_Ack(request_id, True, timeout, name))


def stream_delta(request_id: str, seq: int, delta: str) -> str:
    """One piece of a streamed answer; ``seq`` counts from 0 without gaps."""
    return _text(_Stream(request_id, seq, delta))


def call_result(
    request_id: str, text: str, structured: dict[str, Any] | None, metadata: dict[str, Any] | None
) -> str:
    """The frame that ends a call well."""
    frame = _Result(request_id, [_Text("text", text)], text, structured, metadata or None)
    return _text(frame)


def call_error(request_id: str, code: str, message: str, **details: Any) -> str:
    """The frame that ends a call badly; ``details`` join code and message."""
    error = {"code": code, "message": message, **details}
    return encode({"op": "call_tool_res", "request_id": request_id, "error": error})


def encode(frame: dict[str, Any]) -> str:
    """Any other frame."""
    return _text(frame)


def hello_ack(session_id: str, resume: str | None) -> str:
    """The answer to a good hello; ``resume`` only for a client that asked for it."""
    frame: dict[str, Any] = {"op": "hello_ack", "ok": True, "session_id": session_id}
    return encode(frame | ({"resume": resume} if resume is not None else {}))


def hello_refused(error: str, message: str | None = None) -> str:
    """The answer to a hello that is not let in."""
    frame: dict[str, Any] = {"op": "hello_ack", "ok": False, "error": error}
    return encode(frame | ({"message": message} if message else {}))


def error(message: str, request_id: str | None = None) -> str:
    """An error frame; it names the request where that could be read."""
    frame: dict[str, Any] = {"op": "error", "message": message}
    return encode(frame | ({"request_id": request_id} if request_id is not None else {}))


class State(enum.Enum):
    """Where a connection stands."""

    AWAITING_HELLO = enum.auto()
    OPEN = enum.auto()


class ServerProtocol:
    """One connection's side of the protocol."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State.AWAITING_HELLO

    def receive(self, data: str | bytes) -> ClientMessage | Refused:
        """What a text (or UTF-8 bytes) message means. Never raises for bad input."""
        try:
            message = _DECODER.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as exc:
            return self._refuse(data, exc)
        if self.state is State.AWAITING_HELLO:
            return message if isinstance(message, Hello) else _no_hello()
        if isinstance(message, Hello):
            return Refused(error("invalid_message: hello was said before"))
        if problem := _id_problem(message):
            return Refused(error(f"invalid_message: {problem}"))
        return message

    def opened(self) -> None:
        """The hello was let in."""
        self.state = State.OPEN

    def _refuse(self, data: str | bytes, exc: Exception) -> Refused:
        probe = _probe(data)
        if self.state is State.AWAITING_HELLO:
            return _bad_hello(probe, exc)
        if probe is None and not isinstance(exc, RecursionError):
            return Refused(error("invalid_json"))
        probe = probe or _Probe()
        request_id = probe.request_id if isinstance(probe.request_id, str) else None
        if isinstance(probe.op, str) and probe.op not in _OPS:
            return Refused(error(f"Unknown op: {probe.op[:100]}", request_id))
        return Refused(error(f"invalid_message: {_readable(exc)}", request_id))


def _bad_hello(probe: _Probe | None, exc: Exception) -> Refused:
    if probe is not None and isinstance(probe.op, str) and probe.op != "hello":
        return _no_hello()
    message = "not JSON" if probe is None and not isinstance(exc, RecursionError) else _readable(exc)
    return Refused(hello_refused("invalid_hello", message), CLOSE_INVALID, "invalid hello")


def _no_hello() -> Refused:
    return Refused(hello_refused("missing_hello"), CLOSE_NO_HELLO, "hello comes first")


def _probe(data: str | bytes) -> _Probe | None:
    """Op and request_id of a message that did not fit; None when it is not JSON at all.

    JSON that is not an object comes back as an empty probe.
    """
    try:
        return _PROBE.decode(data)
    except msgspec.ValidationError:
        return _Probe()
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


def _id_problem(message: ClientMessage) -> str | None:
    if not isinstance(message, CallTool | Cancel | FetchResult):
        return None
    if not 0 < len(message.request_id) <= MAX_ID_CHARS:
        return f"request_id: expected 1 to {MAX_ID_CHARS} characters, got {len(message.request_id)}"
    return None


def _readable(exc: Exception) -> str:
    """``Expected `str`, got `int` - at `$.name``` as ``name: expected str, got int``."""
    if isinstance(exc, RecursionError):
        return "nested too deeply"
    text = str(exc).replace("`", "")
    if missing := re.search(r"missing required field (\w+)", text):
        return f"{missing[1]}: missing"
    what, _, where = text.partition(" - at ")
    path = where.removeprefix("$").removeprefix(".")
    what = what[:1].lower() + what[1:]
    return f"{path}: {what}" if path else what
