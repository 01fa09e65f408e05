"""One call: its fingerprint, who watches it, and the order in which each of them gets its frames."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.daemon import protocol
from exai_ops.daemon.call import Call, digest
from exai_ops.daemon.protocol import CallTool

from .daemon_parts import Bench, Line, turns

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def make(*, stream: bool = True) -> Call:
    tool = next(tool for tool in Bench().tools() if tool.name == "say")
    message = CallTool("r1", "say", {"pieces": []}, stream=stream)
    return Call("s", message, tool, digest="d", started_at=0.0, timeout_s=5.0)


async def end(call: Call, text: str) -> None:
    frame = protocol.call_result("r1", text, None, None)
    call.end(frame)
    await call.publish(frame)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_the_fingerprint_does_not_see_the_order_of_keys(arguments: dict[str, Any]) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    assert digest("t", arguments) == digest("t", turned(arguments))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("t", {}), ("u", {})),
        (("t", {"a": 1}), ("t", {"a": "1"})),
        (("t", {"a": 1}), ("t", {"a": True})),
        (("t", {"a": None}), ("t", {})),
        (("t", {"a": [1, 2]}), ("t", {"a": [2, 1]})),
        (("t", {"a": ""}), ("t", {"b": ""})),
        (("ta", {}), ("t", {"a": {}})),
    ],
)
def test_the_fingerprint_sees_every_difference(one: Any, other: Any) -> None:
    assert digest(*one) != digest(*other)
    assert digest("t", None) == digest("t", {})


async def test_pieces_go_to_who_asked_for_the_stream() -> None:
    call, asked, did_not = make(), Line(), Line()
    call.watch(asked, stream=True)
    call.watch(did_not, stream=False)
    for piece in "abc":
        await call.delta(piece)
    await end(call, "abc")
    assert asked.deltas() == ["a", "b", "c"]
    assert asked.ops()[-1] == "call_tool_res"
    assert did_not.ops() == ["call_tool_res"]


@pytest.mark.parametrize("acked_first", [False, True])
async def test_who_attaches_late_is_told_all_in_order(acked_first: bool) -> None:
    call, late = make(), Line()
    if acked_first:
        call.accepted_at = 1.0
        await call.delta("a")
    await call.attach(late, stream=True, now=1.0)
    if not acked_first:
        call.accepted_at = 1.0
        await call.publish(protocol.call_ack("r1", "say", 5.0))
        await call.delta("a")
    await call.delta("b")
    await end(call, "ab")
    assert late.ops() == ["progress", "call_tool_ack", "stream", "stream", "call_tool_res"]
    assert late.deltas() == ["a", "b"]


@pytest.mark.parametrize("taken", range(6))
async def test_a_slow_client_attaching_at_any_moment_gets_all_in_order(taken: int) -> None:
    """It takes one frame after the other while the call goes through its whole life."""
    call, slow = make(), Line()
    slow.gate.clear()

    async def step() -> None:
        slow.gate.set()
        slow.gate.clear()
        await turns(3)

    async def live() -> None:
        call.accepted_at = 1.0
        await call.publish(protocol.call_ack("r1", "say", 5.0))
        for piece in "ab":
            await call.delta(piece)
        await end(call, "ab")

    attaching = asyncio.create_task(call.attach(slow, stream=True, now=1.0))
    await turns(3)
    for _ in range(taken):
        await step()
    living = asyncio.create_task(live())
    await turns(3)
    slow.gate.set()
    await asyncio.gather(attaching, living)
    assert slow.ops() == ["progress", "call_tool_ack", "stream", "stream", "call_tool_res"]
    assert slow.deltas() == ["a", "b"]


async def test_attaching_again_repeats_no_piece() -> None:
    call, line = make(), Line()
    call.watch(line, stream=True)
    call.accepted_at = 1.0
    await call.delta("a")
    await call.attach(line, stream=False, now=1.0)
    await call.delta("b")
    await end(call, "ab")
    assert line.deltas() == ["a", "b"]
    assert len(line.results()) == 1


async def test_who_no_longer_watches_gets_nothing() -> None:
    call, line = make(), Line()
    call.watch(line, stream=True)
    call.unwatch(line)
    await call.delta("a")
    await end(call, "a")
    assert line.frames == []


async def test_waiting_for_the_result() -> None:
    call = make()
    waiting = [asyncio.create_task(call.wait()) for _ in range(3)]
    await turns(2)
    waiting[0].cancel()
    await turns(2)
    call.end("frame")
    assert await asyncio.gather(*waiting[1:]) == ["frame", "frame"]
    assert await call.wait() == "frame"
    assert waiting[0].cancelled()


async def test_a_call_that_ends_or_has_no_task_cannot_be_cancelled() -> None:
    call = make()
    assert not call.cancel("CANCELLED", "x")
    call.task = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]
    call.stage = "ending"
    assert not call.cancel("CANCELLED", "x")
    call.stage = "running"
    assert call.cancel("CANCELLED", "first")
    assert call.cancel("INTERRUPTED", "second")
    assert (call.cancel_code, call.cancel_message) == ("CANCELLED", "first")
    with pytest.raises(asyncio.CancelledError):
        await call.task
