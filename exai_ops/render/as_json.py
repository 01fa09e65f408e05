"""Findings for a program."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from exai_ops.findings import Finding

SCHEMA_VERSION = 1


def as_json(findings: Sequence[Finding]) -> str:
    """``{schema_version, summary: {status: count}, findings: [{code, status, message, hint, where}]}``."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "summary": dict(Counter(str(finding.status) for finding in findings)),
        "findings": [_finding(finding) for finding in findings],
    }
    return json.dumps(document, indent=2) + "\n"


def _finding(finding: Finding) -> dict[str, Any]:
    where = finding.where
    return {
        "code": finding.code,
        "status": str(finding.status),
        "message": finding.message,
        "hint": finding.hint or None,
        "where": {"file": where.file, "line": where.line, "name": where.name},
    }
