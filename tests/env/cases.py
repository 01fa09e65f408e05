"""How the tests of the rules make contexts from text and name what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exai_ops.env.document import parse
from exai_ops.env.model import Document
from exai_ops.env.rules.table import Context, Rule
from exai_ops.env.runner import run
from exai_ops.findings import Finding

EXAMPLE, LIVE = ".env.example", ".env.docker"


def document(text: str | bytes, path: str = LIVE) -> Document:
    """A document of a text; bytes where the encoding is the point."""
    data = text if isinstance(text, bytes) else text.encode("utf-8")
    return parse(data, path)


def context(example: str | bytes | None = None, live: str | bytes | None = None, **others: Any) -> Context:
    """A context with the two files, or one."""
    return Context(
        example=None if example is None else document(example, EXAMPLE),
        live=None if live is None else document(live, LIVE),
        **others,
    )


def found(rules: Sequence[Rule], code: str, given: Context) -> list[Finding]:
    """What one rule finds."""
    return run([rule for rule in rules if rule.code == code], given)


def places(findings: Sequence[Finding]) -> list[tuple[str, int | None, str | None]]:
    """Status, line and name of each."""
    return [(str(f.status), f.where.line, f.where.name) for f in findings]
