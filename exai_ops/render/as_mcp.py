"""The frames of a call as MCP shows them; plain dictionaries, for both of exai's MCP servers.

A result's ``metadata`` is its ``_meta``. The model sees the content alone, so a ``continuation_id`` is also
the last text block. An error is a result with ``isError``, whose text begins with the code.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

Frame: TypeAlias = Mapping[str, Any]
COMPLETE: Final = {"resultType": "complete"}
"""Of every result, since 2026-07-28; the SDK leaves it out for an older client."""
Report: TypeAlias = Callable[[float, None, str], Awaitable[None]]
"""Sends progress: how far, of how much (not known), in words."""


async def relay(receive: Callable[[], Awaitable[Frame]], report: Report) -> dict[str, Any]:
    """Report the frames of a call as progress until its last one, and return that as a result.

    Progress counts frames: MCP wants a number that rises, and how far a model has come is not known.
    """
    for count in itertools.count(1):
        frame = await receive()
        if frame.get("op") in ("call_tool_res", "error"):
            break
        if note := _note(frame):
            await report(count, None, note)
    return call_result(frame)


def call_result(frame: Frame) -> dict[str, Any]:
    """The last frame of a call as a ``CallToolResult``."""
    if frame.get("op") == "error":
        return error_result({"code": "INVALID", "message": frame.get("message", "")})
    if (error := frame.get("error")) is not None:
        return error_result(error)
    metadata = frame.get("metadata") or {}
    content = [*(frame.get("outputs") or [_text(frame.get("text", ""))])]
    if continuation := metadata.get("continuation_id"):
        content.append(_text(f"continuation_id: {continuation}{_turns(metadata)}"))
    result: dict[str, Any] = {"content": content, "isError": False, **COMPLETE}
    if frame.get("structured") is not None:
        result["structuredContent"] = frame["structured"]
    return result | ({"_meta": metadata} if metadata else {})


def error_result(error: Mapping[str, Any]) -> dict[str, Any]:
    """A call's error as a result that the model can read; the whole error is in ``_meta``."""
    text = f"{error.get('code', 'EXEC_ERROR')}: {error.get('message', '')}"
    wait_s = error.get("retry_after", error.get("retry_after_s"))
    if wait_s is not None:
        text += f" (retry after {wait_s} s)"
    if error.get("hint"):
        text += f"\nhint: {error['hint']}"
    return {"content": [_text(text)], "isError": True, "_meta": {"error": dict(error)}, **COMPLETE}


def _note(frame: Frame) -> str:
    """What a frame that is not the last one says; a piece of the answer as it is."""
    match frame.get("op"):
        case "progress":
            return str(frame.get("note", ""))
        case "stream":
            return str(frame.get("delta", ""))
    return ""


def _turns(metadata: Mapping[str, Any]) -> str:
    left = metadata.get("turns_remaining")
    return "" if left is None else f" ({left} {'turn remains' if left == 1 else 'turns remain'})"


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
