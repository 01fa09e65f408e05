"""Findings for a person: a block for each, a count at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from exai_ops.findings import Finding, Status
from exai_ops.render.grouped import grouped

_COUNTED = (Status.ERROR, Status.WARNING, Status.INFO, Status.UNKNOWN, Status.SKIP)


def as_text(findings: Sequence[Finding]) -> str:
    """Each finding with its hint below it, skips with one reason once; then how many of which status."""
    lines = [line for codes, finding in grouped(findings) for line in _block(codes, finding)]
    return "\n".join([*lines, summary(findings)]) + "\n"


def summary(findings: Iterable[Finding]) -> str:
    """``2 errors, 1 warning``, or ``ok``."""
    counts = Counter(finding.status for finding in findings)
    parts = [_count(counts[status], status) for status in _COUNTED if counts[status]]
    return ", ".join(parts) or "ok"


def _count(number: int, status: Status) -> str:
    plural = number != 1 and status in (Status.ERROR, Status.WARNING)
    return f"{number} {status}{'s' if plural else ''}"


def _block(codes: str, finding: Finding) -> Iterable[str]:
    place = f"{finding.where} " if str(finding.where) else ""
    yield f"{finding.status:<8}{codes}  {place}{finding.message}"
    if finding.hint:
        yield f"{'':<8}hint: {finding.hint}"
