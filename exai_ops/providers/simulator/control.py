"""The endpoints under ``/_sim``: faults at run time, what was received, and waiting for it.

| request | gives |
|---|---|
| ``GET /_sim/faults`` | ``{"kimi": "latency=0.2", "glm": ""}``, in the grammar of ``faults`` |
| ``POST /_sim/faults`` | the same, after setting what the body names: a text, an object, or null for none |
| ``DELETE /_sim/faults`` | the same, back at the faults of the start |
| ``GET /_sim/requests`` | the counts of each provider and the last requests with their bodies |
| ``DELETE /_sim/requests`` | the same, after forgetting them |
| ``GET /_sim/wait?aborted=1&timeout=5`` | 200 once the counts are reached, 408 when they are not in time |

``all`` in the body stands for both providers. ``wait`` takes any count, ``idle=1``, ``provider`` and
``timeout`` (seconds, at most 60, 5 by default). A wrong field is a 400 that names it. Only this machine
is answered, and no browser's page: the bodies are other people's prompts.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from exai_ops.providers.simulator.dialects import DIALECTS
from exai_ops.providers.simulator.exchange import BodyTooLarge, ClientGone, Exchange
from exai_ops.providers.simulator.faults import NO_FAULT, Fault, FaultError, fault_of, parse_fault
from exai_ops.providers.simulator.state import SimulatorState
from exai_ops.settings import is_loopback

MAX_BODY_BYTES: Final = 64 * 1024
MAX_WAIT_S: Final = 60.0

_encode: Final = msgspec.json.encode


def problem(field: str, message: str) -> bytes:
    """The body of a 400 that says which field is wrong."""
    return _encode({"error": {"type": "bad_field", "field": field, "message": message}})


async def respond(state: SimulatorState, x: Exchange) -> None:
    """Answer a request under ``/_sim``, and a 404 for anything else."""
    try:
        status, body = await _result(state, x)
        await x.answer(status, body)
    except FaultError as error:
        await x.answer(400, problem(error.field, error.problem))
    except BodyTooLarge:
        await x.answer(413, problem("body", f"exceeds {MAX_BODY_BYTES} bytes"), (b"connection", b"close"))
    except ClientGone:
        return


async def _result(state: SimulatorState, x: Exchange) -> tuple[int, bytes]:
    route = (x.scope["method"], x.scope["path"])
    body = await x.body(MAX_BODY_BYTES)
    if not state.options.control:
        return 404, problem("path", "nothing here")
    if not _is_trusted(x):
        return 403, problem("client", "the control endpoints answer this machine alone, and no browser")
    match route:
        case ("POST", "/_sim/faults"):
            _set_faults(state, body)
        case ("DELETE", "/_sim/faults"):
            state.reset_faults()
        case ("DELETE", "/_sim/requests"):
            state.reset_requests()
        case ("GET", "/_sim/wait"):
            return await _wait(state, x.scope["query_string"])
        case ("GET", "/_sim/faults" | "/_sim/requests"):
            pass
        case _:
            routes = [*(dialect.base for dialect in DIALECTS.values()), "/_sim"]
            return 404, problem("path", f"nothing here; see under {', '.join(routes)}")
    if route[1] == "/_sim/faults":
        return 200, _encode({name: fault.as_text() for name, fault in state.faults.items()})
    return 200, _encode(state.as_dict())


def _is_trusted(x: Exchange) -> bool:
    client = x.scope.get("client")
    from_here = client is not None and is_loopback(client[0])
    return from_here and not any(name == b"origin" for name, _ in x.scope["headers"])


def _set_faults(state: SimulatorState, body: bytes) -> None:
    try:
        wanted = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise FaultError("body", str(error)) from None
    parsed = [
        (name, _fault(value))
        for key, value in wanted.items()
        for name in (DIALECTS if key == "all" else [key])
    ]
    for name, fault in parsed:
        if name not in DIALECTS:
            raise FaultError(name, f"is no provider: {', '.join(DIALECTS)} or all")
        DIALECTS[name].check(fault)
    for name, fault in parsed:
        state.set_fault(name, fault)


def _fault(value: Any) -> Fault:
    if value is None:
        return NO_FAULT
    if isinstance(value, str):
        return parse_fault(value)
    if isinstance(value, dict):
        return fault_of(value)
    raise FaultError("body", "a fault is a text, an object or null")


async def _wait(state: SimulatorState, query: bytes) -> tuple[int, bytes]:
    asked = dict(parse_qsl(query.decode("latin-1")))
    provider = asked.pop("provider", None)
    if provider is not None and provider not in DIALECTS:
        raise FaultError("provider", f"is not one of {', '.join(DIALECTS)}")
    timeout_s = _number("timeout", asked.pop("timeout", "5"))
    least = {name: int(_number(name, value)) for name, value in asked.items()}
    try:
        reached = await state.wait(timeout_s=min(timeout_s, MAX_WAIT_S), provider=provider, **least)
    except ValueError as error:
        raise FaultError(str(error), "is no count") from None
    return (200 if reached else 408), _encode({"reached": reached, **state.counts})


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 1_000_000:
        raise FaultError(name, "is not a number from 0 on")
    return number
