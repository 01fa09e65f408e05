"""Findings as text. A renderer is a function from findings to text, and a row of ``RENDERERS``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Final, TypeAlias

from exai_ops.errors import UsageError
from exai_ops.findings import Finding

Render: TypeAlias = Callable[[Sequence[Finding]], str]


def _imported(name: str) -> Render:
    """``as_NAME`` of the module of that name, imported when something is rendered: only one of them is."""

    def render(findings: Sequence[Finding]) -> str:
        chosen: Render = getattr(import_module(f"{__name__}.as_{name}"), f"as_{name}")
        return chosen(findings)

    return render


RENDERERS: Final[Mapping[str, Render]] = {
    name: _imported(name) for name in ("text", "short", "json", "github", "sarif", "junit")
}


def renderer(name: str) -> Render:
    """The renderer of a format. Raises UsageError with the nearest when there is none."""
    if name in RENDERERS:
        return RENDERERS[name]
    import difflib

    near = difflib.get_close_matches(name, RENDERERS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(RENDERERS)}"
    raise UsageError(f"--format: {name!r} is not known", hint=hint)
