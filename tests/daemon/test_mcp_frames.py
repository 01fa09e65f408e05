"""Frames of a call as MCP shows them: a table, and what holds for all."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import pytest

from exai_ops.render.as_mcp import Frame, call_result, relay

SAID = {"type": "text", "text": "hello"}


def ended(**fields: Any) -> Frame:
    return {"op": "call_tool_res", "request_id": "r1", **fields}


def failed(**error: Any) -> Frame:
    return ended(error=error)


@pytest.mark.parametrize(
    ("frame", "blocks"),
    [
        (ended(outputs=[SAID], text="hello"), ["hello"]),
        (ended(text="only text"), ["only text"]),
        (ended(), [""]),
        (
            ended(outputs=[SAID], metadata={"continuation_id": "c1", "turns_remaining": 2}),
            ["hello", "continuation_id: c1 (2 turns remain)"],
        ),
        (
            ended(outputs=[SAID], metadata={"continuation_id": "c1", "turns_remaining": 1}),
            ["hello", "continuation_id: c1 (1 turn remains)"],
        ),
        (ended(outputs=[SAID], metadata={"continuation_id": "c1"}), ["hello", "continuation_id: c1"]),
        (
            failed(code="OVER_CAPACITY", message="full", retry_after=1),
            ["OVER_CAPACITY: full (retry after 1 s)"],
        ),
        (
            failed(code="EXEC_ERROR", message="429", retry_after_s=2.5, hint="wait"),
            ["EXEC_ERROR: 429 (retry after 2.5 s)\nhint: wait"],
        ),
        (failed(code="UNREACHABLE", message="away", hint=None), ["UNREACHABLE: away"]),
        (
            {"op": "error", "request_id": "r1", "message": "request_id: missing"},
            ["INVALID: request_id: missing"],
        ),
    ],
)
def test_the_blocks_of_a_last_frame(frame: Frame, blocks: list[str]) -> None:
    result = call_result(frame)
    assert [block["text"] for block in result["content"]] == blocks
    assert result["isError"] == ("error" in frame or frame["op"] == "error")


def test_structured_and_metadata_are_beside_the_text() -> None:
    result = call_result(ended(outputs=[SAID], structured={"verdict": "ok"}, metadata={"model": "m"}))
    assert result["structuredContent"] == {"verdict": "ok"}
    assert result["_meta"] == {"model": "m"}
    bare = call_result(ended(outputs=[SAID]))
    assert "structuredContent" not in bare
    assert "_meta" not in bare


async def test_relay_reports_in_order_until_the_last_frame() -> None:
    frames = deque[Frame](
        [
            {"op": "progress", "note": "accepted"},
            {"op": "call_tool_ack", "accepted": True},
            {"op": "stream", "seq": 0, "delta": "hel"},
            {"op": "stream", "seq": 1, "delta": "lo"},
            ended(outputs=[SAID]),
            {"op": "stream", "seq": 2, "delta": "never"},
        ]
    )
    reported: list[tuple[float, str]] = []

    async def receive() -> Frame:
        await asyncio.sleep(0)
        return frames.popleft()

    async def report(progress: float, total: None, message: str) -> None:
        reported.append((progress, message))

    assert (await relay(receive, report))["content"] == [SAID]
    assert reported == [(1, "accepted"), (3, "hel"), (4, "lo")]
    assert len(frames) == 1
