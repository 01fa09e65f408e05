"""Whether a list of tools has the form that the protocol gives it: the other side may be anything."""

from __future__ import annotations

from typing import Any

import msgspec


class _Schema(msgspec.Struct):
    """JSON Schema, as far as options are made from it."""

    type: str | list[str] | None = None
    enum: list[Any] | None = None
    anyOf: list[_Schema | bool] | None = None  # noqa: N815 - the schema's own word
    items: dict[str, Any] | bool | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    required: list[str] | None = None
    properties: dict[str, _Schema | bool] | None = None


class _Tool(msgspec.Struct):
    name: str
    description: str | None = None
    inputSchema: _Schema | None = None  # noqa: N815 - the protocol's own word


def tools_in(frame: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The tools of a ``list_tools_res`` as they came, or None when they are not in its form."""
    tools = frame.get("tools")
    try:
        msgspec.convert(tools, list[_Tool])
    except (msgspec.ValidationError, RecursionError):
        return None
    assert isinstance(tools, list)  # noqa: S101 - for the types; it was just looked at
    return tools
