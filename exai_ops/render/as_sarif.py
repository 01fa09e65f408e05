"""Findings as SARIF 2.1.0, for code scanning."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import exai_ops
from exai_ops.findings import Finding, Location, Status

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final[Mapping[Status, str]] = {
    Status.ERROR: "error",
    Status.WARNING: "warning",
    Status.INFO: "note",
}
_NOT_LOOKED: Final = (Status.SKIP, Status.UNKNOWN)


def as_sarif(findings: Sequence[Finding]) -> str:
    """One run: a result for each finding, and a notification for what could not be looked at."""
    results = [_result(finding) for finding in findings if finding.status not in _NOT_LOOKED]
    run = {
        "tool": {"driver": _driver(findings)},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation([f for f in findings if f.status in _NOT_LOOKED])],
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _driver(findings: Sequence[Finding]) -> dict[str, Any]:
    codes = sorted({finding.code for finding in findings if finding.status not in _NOT_LOOKED})
    return {"name": "exai", "version": exai_ops.__version__, "rules": [{"id": code} for code in codes]}


def _result(finding: Finding) -> dict[str, Any]:
    level = _LEVELS.get(finding.status)
    where = finding.where
    return {
        "ruleId": finding.code,
        **({"level": level} if level else {"kind": "pass", "level": "none"}),
        "message": {"text": _said(finding)},
        "locations": _locations(where),
        "partialFingerprints": {"exai/v1": f"{finding.code}:{where.file or ''}:{where.name or ''}"},
    }


def _invocation(missed: Sequence[Finding]) -> dict[str, Any]:
    whole = all(finding.status is not Status.UNKNOWN for finding in missed)
    return {"executionSuccessful": whole, "toolExecutionNotifications": [_notification(f) for f in missed]}


def _notification(finding: Finding) -> dict[str, Any]:
    level = "error" if finding.status is Status.UNKNOWN else "note"
    return {
        "level": level,
        "message": {"text": _said(finding)},
        "associatedRule": {"id": finding.code},
        "locations": _locations(finding.where),
    }


def _locations(where: Location) -> list[dict[str, Any]]:
    place: dict[str, Any] = {}
    if where.file is not None:
        uri = quote(where.file.replace("\\", "/"), safe="/-._~", errors="replace")
        place["physicalLocation"] = {"artifactLocation": {"uri": uri}}
        if where.line is not None:
            place["physicalLocation"]["region"] = {"startLine": where.line}
    if where.name is not None:
        place["logicalLocations"] = [{"name": where.name, "kind": "variable"}]
    return [place] if place else []


def _said(finding: Finding) -> str:
    return finding.message + (f"\nhint: {finding.hint}" if finding.hint else "")
