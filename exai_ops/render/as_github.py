"""Findings as workflow commands, which GitHub shows at their lines of a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from exai_ops.findings import Finding, Status

_COMMANDS: Final[Mapping[Status, str]] = {
    Status.ERROR: "error",
    Status.UNKNOWN: "error",
    Status.WARNING: "warning",
}


def as_github(findings: Sequence[Finding]) -> str:
    """``::error file=F,line=N,title=CODE::message`` for each finding; the hint is its second line."""
    return "".join(_command(finding) for finding in findings)


def _command(finding: Finding) -> str:
    where = finding.where
    places = {"file": where.file, "line": where.line if where.file else None, "title": finding.code}
    properties = ",".join(f"{k}={_property(str(v))}" for k, v in places.items() if v is not None)
    said = finding.message + (f"\nhint: {finding.hint}" if finding.hint else "")
    return f"::{_COMMANDS.get(finding.status, 'notice')} {properties}::{_data(said)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
