"""``listmodels``, ``version``, ``status``: what the daemon knows without asking a provider."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import exai_ops
from exai_ops.providers.types import ModelInfo
from exai_ops.tools.api import ToolContext, ToolResult, tool

PROTOCOL_VERSION: Final = "1"
"""Of the WebSocket protocol; raised when an old client would be misunderstood."""


@tool(
    description="List the models that can be asked for, with their context windows.",
    needs_provider=False,
    needs_permit=False,
)
async def listmodels(ctx: ToolContext) -> ToolResult:
    """A table, and ``{"models": [...]}``."""
    models = ctx.models()
    structured = {"models": [_model(model) for model in models]}
    return ToolResult(text=models_text(models), structured=structured)


@tool(
    description="Say the versions of exai, Python and the protocol.",
    needs_provider=False,
    needs_permit=False,
)
async def version(ctx: ToolContext) -> ToolResult:  # noqa: ARG001 - every tool is given the context
    """``{"exai", "python", "protocol"}``."""
    facts = {
        "exai": exai_ops.__version__,
        "python": platform.python_version(),
        "protocol": PROTOCOL_VERSION,
    }
    return ToolResult(text=", ".join(f"{name} {value}" for name, value in facts.items()), structured=facts)


@tool(
    description="Show what the daemon is doing: sessions, permits, queue, providers, storage.",
    needs_provider=False,
    needs_permit=False,
)
async def status(ctx: ToolContext) -> ToolResult:
    """The daemon's state, as an outline and as data."""
    state = ctx.status()
    return ToolResult(text="\n".join(outline(state)), structured=state)


def models_text(models: Sequence[ModelInfo]) -> str:
    """A line per model: name, provider, window, abilities, and ``simulated`` where no real model answers."""
    if not models:
        return "no model can be asked for: no provider is configured"
    rows = [("model", "provider", "context", "")]
    rows += [(m.name, m.provider, f"{m.context_tokens:,}", ", ".join(_abilities(m))) for m in models]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{name:<{widths[0]}}  {provider:<{widths[1]}}  {context:>{widths[2]}}  {notes}".rstrip()
        for name, provider, context, notes in rows
    )


def outline(state: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """A line per value, nested objects indented below their name."""
    for name, value in state.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}:"
            yield from outline(value, indent + "  ")
        elif isinstance(value, list | tuple) and value:
            yield f"{indent}{name}:"
            yield from _items(value, indent + "  ")
        else:
            yield f"{indent}{name}: {_scalar(value)}"


def _items(values: list[Any] | tuple[Any, ...], indent: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping):
            yield indent + "- " + ", ".join(f"{k} {_scalar(v)}" for k, v in value.items())
        else:
            yield f"{indent}- {_scalar(value)}"


def _scalar(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return "none" if value in ({}, [], ()) else str(value)


def _abilities(model: ModelInfo) -> list[str]:
    return [name for name in ("simulated", "thinking", "vision") if getattr(model, name)]


def _model(model: ModelInfo) -> dict[str, Any]:
    return {
        "name": model.name,
        "provider": model.provider,
        "context_tokens": model.context_tokens,
        "thinking": model.thinking,
        "vision": model.vision,
        "simulated": model.simulated,
    }
