"""Findings for an editor or grep: a line for each, and nothing when there are none."""

from __future__ import annotations

from collections.abc import Sequence

from exai_ops.findings import Finding


def as_short(findings: Sequence[Finding]) -> str:
    """``where: status CODE message`` for each finding."""
    return "".join(f"{_place(f)}{f.status} {f.code} {f.message}\n" for f in findings)


def _place(finding: Finding) -> str:
    where = str(finding.where)
    return f"{where}: " if where else ""
