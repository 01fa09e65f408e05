"""Findings as JUnit XML, for CI servers that show test reports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from exai_ops.findings import Finding, Status

_FAILED: Final = (Status.ERROR, Status.WARNING)
_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)  # xml.sax has the same, and imports urllib.request with it: 15 ms
_NO_XML: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def as_junit(findings: Sequence[Finding]) -> str:
    """A test case for each finding: errors and warnings fail, ``unknown`` is an error, ``skip`` is skipped.

    Without findings it is one case that passed: a report without cases is refused by some servers.
    """
    cases = "".join(_case(f) for f in findings) or '  <testcase classname="exai" name="nothing found"/>\n'
    count = {
        "tests": max(1, len(findings)),
        "failures": sum(f.status in _FAILED for f in findings),
        "errors": sum(f.status is Status.UNKNOWN for f in findings),
        "skipped": sum(f.status is Status.SKIP for f in findings),
    }
    counts = " ".join(f'{name}="{number}"' for name, number in count.items())
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f'{head}<testsuites>\n<testsuite name="exai" {counts}>\n{cases}</testsuite>\n</testsuites>\n'


def _case(finding: Finding) -> str:
    name = f"{finding.where} {finding.message}".strip()
    head = f"  <testcase classname={_attribute(finding.code)} name={_attribute(name)}"
    body = _body(finding)
    return f"{head}>\n    {body}\n  </testcase>\n" if body else f"{head}/>\n"


def _body(finding: Finding) -> str:
    said, hint = _attribute(finding.message), _text(finding.hint)
    match finding.status:
        case Status.ERROR | Status.WARNING:
            return f'<failure type="{finding.status}" message={said}>{hint}</failure>'
        case Status.UNKNOWN:
            return f'<error type="unknown" message={said}>{hint}</error>'
        case Status.SKIP:
            return f"<skipped message={said}/>"
        case _:
            return f"<system-out>{hint}</system-out>" if hint else ""


def _attribute(text: str) -> str:
    return f'"{_text(text)}"'


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", text).translate(_ESCAPES)
