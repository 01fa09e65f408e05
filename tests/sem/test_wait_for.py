"""What docs/sem-acquire.md says of each Python is what happens there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from .corpus_programs import interpreters

SCRIPT = Path(__file__).with_name("wait_for_steps.py")
SWALLOWED = {"with_a_flag": {"well": 344, "cancellation swallowed": 104},
             "around_the_whole": {"well": 348, "cancellation swallowed": 100}}  # fmt: skip
WELL = {"with_a_flag": {"well": 448}, "around_the_whole": {"well": 448}}
LOST = {"shielded": {"well": 108, "lost": 340}}
TIMEOUT = {"with_timeout": {"well": 448}}


@pytest.mark.parametrize("python", interpreters(os.environ.get("EXAI_TEST_PYTHONS")))
def test_what_becomes_of_a_permit_that_comes_with_a_cancellation(python: str) -> None:
    version = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    major_minor = tuple(map(int, version.stdout.split()))
    done = subprocess.run([python, str(SCRIPT)], capture_output=True, text=True, timeout=60, check=True)
    wanted = {**(SWALLOWED if major_minor < (3, 12) else WELL), **LOST}
    assert json.loads(done.stdout) == wanted | (TIMEOUT if major_minor >= (3, 11) else {})
