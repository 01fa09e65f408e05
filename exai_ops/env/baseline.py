"""Findings that were there when somebody began to look: kept in a file, shown when they are new or gone.

An entry names code, file and key, not the line, so that edits elsewhere in the file change nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

from exai_ops.errors import CouldNotLook
from exai_ops.findings import Finding, Location, Status

STALE: Final = "ENV092"
SCHEMA_VERSION: Final = 1
_MAX_BYTES: Final = 10_000_000
_NEVER: Final = ("ENV090", "ENV091", STALE, "SEM009")
_KEPT: Final = (Status.INFO, Status.WARNING, Status.ERROR)

Print: TypeAlias = tuple[str, str, str]
"""Code, file and key; empty where there is none."""


def fingerprint(finding: Finding) -> Print:
    """What tells a finding from others, whatever its line."""
    return finding.code, finding.where.file or "", finding.where.name or ""


def kept(findings: Iterable[Finding]) -> list[Finding]:
    """What a baseline holds of these: not what was not looked at, nor what is wrong with suppressions."""
    return [f for f in findings if f.status in _KEPT and f.code not in _NEVER]


def to_text(findings: Iterable[Finding]) -> str:
    """A baseline that holds these findings, as far as one may."""
    import json

    counts = Counter(fingerprint(finding) for finding in kept(findings))
    rows = [
        {"code": code, "file": file, "key": key, "count": n}
        for (code, file, key), n in sorted(counts.items())
    ]
    return json.dumps({"schema_version": SCHEMA_VERSION, "findings": rows}, indent=2) + "\n"


def from_text(text: str, path: str) -> Counter[Print]:
    """How many of each the baseline holds. Raises CouldNotLook when it is none."""
    import json

    try:
        document = json.loads(text)
        return Counter({_print(row): _count(row) for row in document["findings"]})
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise CouldNotLook(
            f"{path}: is not a baseline", hint="write it anew with --baseline FILE --write-baseline"
        ) from error


def apply(
    findings: Iterable[Finding],
    known: Counter[Print],
    path: str,
    *,
    judged: Callable[[str], bool],
    stale: str = STALE,
    command: str = "exai env check",
) -> list[Finding]:
    """The findings that the baseline does not hold, and one for each entry that is no longer found.

    ``stale`` is the code of those, ``command`` what writes the baseline anew.
    """
    left = Counter(known)
    new = [finding for finding in findings if not _take(finding, left)]
    return [*new, *_stale(left, path, judged, stale, command)]


def read(path: Path) -> Counter[Print]:
    """The baseline of a file. Raises CouldNotLook."""
    try:
        if not path.is_file():
            raise CouldNotLook(f"{path}: is not a file", hint="write it with --write-baseline")
        if path.stat().st_size > _MAX_BYTES:
            raise CouldNotLook(f"{path}: is too large for a baseline", hint="name the right file")
        return from_text(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise CouldNotLook(f"{path}: cannot be read", hint="name a readable baseline") from error


def write(path: Path, findings: Iterable[Finding]) -> int:
    """Put a baseline in place, whole or not at all: how many findings it holds.

    Only a baseline is written over. Raises CouldNotLook for a path that is something else, NotWritten when it
    cannot be written.
    """
    from exai_ops.env.write import put

    held = kept(findings)
    put(path, to_text(held).encode(), mine=lambda data: b'"schema_version"' in data)
    return len(held)


def _take(finding: Finding, left: Counter[Print]) -> bool:
    """Whether the baseline still holds one of these; it then holds one less."""
    print_ = fingerprint(finding)
    if finding.status not in _KEPT or left[print_] <= 0:
        return False
    left[print_] -= 1
    return True


def _stale(
    left: Counter[Print], path: str, judged: Callable[[str], bool], stale: str, command: str
) -> Iterable[Finding]:
    for (code, file, key), count in sorted(left.items()):
        if count > 0 and judged(code):
            what = " ".join(part for part in (code, file, key) if part)
            message = f"the baseline holds {what}, which is no longer found"
            hint = f"run {command} --baseline {path} --write-baseline"
            yield Finding(stale, Status.INFO, message, hint, Location(path))


def _print(row: Any) -> Print:
    code, file, key = row["code"], row["file"], row["key"]
    if not all(isinstance(part, str) for part in (code, file, key)):
        raise TypeError
    return code, file, key


def _count(row: Any) -> int:
    return int(row.get("count", 1))
