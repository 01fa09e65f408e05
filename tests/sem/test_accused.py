"""Healthy programs that are easily taken for faulty ones: none is accused, on any interpreter."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from exai_ops.sem.check import look
from exai_ops.sem.passive.scanner import PassiveScanner
from exai_ops.sem.verdict import ACCUSATIONS

from .corpus_programs import interpreters

PROGRAMS = sorted((Path(__file__).parent / "accused").glob("*.py"))
AT_ONCE = 4
PATIENCE_S = 30.0


def accused(python: str, program: Path) -> list[str]:
    """What is said of the semaphores of a program that claims nothing bad, where that accuses."""
    with subprocess.Popen(
        [python, str(program)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        ours = {row["id"] for row in json.loads(process.stdout.readline())["truth"]}
        with PassiveScanner(process.pid) as scanner:
            scan, judgements = look(scanner)
        process.communicate("", timeout=PATIENCE_S)
    found = dict(zip((one.address for one in scan.semaphores), judgements, strict=True))
    assert ours <= found.keys()
    return [
        f"{program.stem}: {found[one]}, {scan.semaphores}"
        for one in ours
        if found[one].verdict in ACCUSATIONS
    ]


@pytest.mark.parametrize("python", interpreters(os.environ.get("EXAI_TEST_PYTHONS")))
def test_none_is_accused(python: str) -> None:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = list(threads.map(lambda program: accused(python, program), PROGRAMS))
    assert [one for some in found for one in some] == []
