"""Starts the programs of the corpus, reads what each claims, ends them by the end of their input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
PROGRAMS = sorted(path.relative_to(CORPUS).as_posix() for path in CORPUS.glob("*/*.py"))
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
DEADLINE_S = 60.0
AT_ONCE = 6


@dataclass(frozen=True)
class Outcome:
    """One run: the rows it claimed, the process that claimed them, how it ended."""

    truth: list[dict[str, Any]]
    code: int
    stderr: str


def interpreters(wanted: str | None) -> list[str]:
    """Those asked for: paths parted like PATH, `pyenv` for all of VERSIONS that it has; else our own."""
    if not wanted:
        return [sys.executable]
    if wanted != "pyenv":
        return wanted.split(os.pathsep)
    asked = subprocess.run(["pyenv", "root"], capture_output=True, text=True, timeout=30, check=True)
    versions = Path(asked.stdout.strip()) / "versions"
    return [str(path) for version in VERSIONS for path in sorted(versions.glob(f"{version}.*/bin/python"))]


def run(python: str, program: str) -> Outcome:
    """A program that does not get to its claim has no rows, and its errors."""
    with subprocess.Popen(
        [python, str(CORPUS / program)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            _, stderr = process.communicate("", timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            _, stderr = process.communicate()
    claim = json.loads(line or "{}")
    return Outcome(claim["truth"] if claim.get("ready") is True else [], process.returncode, stderr)


def run_all(python: str) -> dict[str, Outcome]:
    """Every program's outcome, a few at once."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return dict(zip(PROGRAMS, threads.map(lambda program: run(python, program), PROGRAMS), strict=True))
