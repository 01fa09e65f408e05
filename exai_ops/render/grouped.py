"""Findings as a person reads them: what was skipped for one reason is said once, with all of its codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from exai_ops.findings import Finding, Location, Status

_Reason: TypeAlias = tuple[str, str, Location]


def grouped(findings: Iterable[Finding]) -> Iterator[tuple[str, Finding]]:
    """Each finding with its code; of skips with one message, hint and place the first, with all codes."""
    codes: dict[_Reason, list[str]] = {}
    order: list[Finding] = []
    for finding in findings:
        if finding.status is not Status.SKIP:
            order.append(finding)
        elif (reason := _reason(finding)) in codes:
            codes[reason].append(finding.code)
        else:
            codes[reason] = [finding.code]
            order.append(finding)
    for finding in order:
        skipped = finding.status is Status.SKIP
        yield (_listed(codes[_reason(finding)]) if skipped else finding.code), finding


def _reason(finding: Finding) -> _Reason:
    return finding.message, finding.hint, finding.where


def _listed(codes: Sequence[str]) -> str:
    """``ENV001, ENV002, ENV005 to ENV011``: three or more in a row are a range."""
    runs: list[list[str]] = []
    for code in dict.fromkeys(codes):
        if runs and _follows(runs[-1][-1], code):
            runs[-1].append(code)
        else:
            runs.append([code])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def _follows(one: str, other: str) -> bool:
    return (
        one[:3] == other[:3]
        and one[3:].isdigit()
        and other[3:].isdigit()
        and int(one[3:]) + 1 == int(other[3:])
    )
