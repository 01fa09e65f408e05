"""Findings as text. A renderer is a function from findings to text, and a row of ``RENDERERS``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from exai_ops.errors import UsageError
from exai_ops.findings import Finding
from exai_ops.render.as_github import as_github
from exai_ops.render.as_json import as_json
from exai_ops.render.as_junit import as_junit
from exai_ops.render.as_sarif import as_sarif
from exai_ops.render.as_short import as_short
from exai_ops.render.as_text import as_text

RENDERERS: Final[Mapping[str, Callable[[Sequence[Finding]], str]]] = {
    "text": as_text,
    "short": as_short,
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
    "junit": as_junit,
}


def renderer(name: str) -> Callable[[Sequence[Finding]], str]:
    """The renderer of a format. Raises UsageError with the nearest when there is none."""
    if name in RENDERERS:
        return RENDERERS[name]
    near = difflib.get_close_matches(name, RENDERERS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(RENDERERS)}"
    raise UsageError(f"--format: {name!r} is not known", hint=hint)
