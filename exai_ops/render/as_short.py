"""Findings for an editor or grep: a line for each, and nothing when there are none."""

from __future__ import annotations

from collections.abc import Sequence

from exai_ops.findings import Finding
from exai_ops.render.grouped import grouped


def as_short(findings: Sequence[Finding]) -> str:
    """``where: status CODE message`` for each finding; for what was skipped, once a reason."""
    return "".join(f"{_place(f)}{f.status} {codes} {f.message}\n" for codes, f in grouped(findings))


def _place(finding: Finding) -> str:
    where = str(finding.where)
    return f"{where}: " if where else ""
