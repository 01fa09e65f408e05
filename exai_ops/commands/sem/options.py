"""What the commands of ``exai sem`` take: processes and durations."""

from __future__ import annotations

import re
from typing import Final

from exai_ops.errors import CouldNotLook, UsageError

_DURATION: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h)?")
_LEAST_PAUSE_S: Final = 0.1
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def duration_s(text: str, option: str) -> float:
    """Seconds of ``60s``, ``5m``, ``500ms`` or ``2``. Raises UsageError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{option}: {text!r} is no length of time", hint="500ms, 60s, 5m or 1h")
    return float(match["number"]) * _SECONDS[match["unit"]]


def pause_s(text: str) -> float:
    """Seconds between two looks. Raises UsageError for less than a tenth, which would be one long look."""
    found = duration_s(text, "--every")
    if found < _LEAST_PAUSE_S:
        raise UsageError(f"--every: {text!r} is too short", hint="100ms or more")
    return found


def processes(target: str) -> list[int]:
    """The pids that a number or a name stands for. Raises CouldNotLook when there is none."""
    if target.isascii() and target.isdecimal():
        return [int(target)]
    if not target.strip():
        raise UsageError("the process has no name", hint="give its number, its script, or --all")
    from exai_ops.sem.process import find

    pids = find(target)
    if not pids:
        hint = "exai sem check --all looks at each that there is"
        raise CouldNotLook(f"no Python process is called {target}", hint=hint)
    return pids


def one_process(target: str) -> int:
    """The one process that is meant. Raises UsageError when the name fits several."""
    pids = processes(target)
    if len(pids) > 1:
        some = ", ".join(map(str, pids[:8]))
        raise UsageError(f"{target} fits {len(pids)} processes: {some}", hint="give one of these numbers")
    return pids[0]
