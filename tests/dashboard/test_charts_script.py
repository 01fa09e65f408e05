"""How ``.ci/charts.py`` goes without npm."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = "exai_ops/dashboard"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the script needs of a clone."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / PAGE).mkdir(parents=True)
    for name in (".ci/charts.py", f"{PAGE}/package.json", f"{PAGE}/package-lock.json"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(clone: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(clone / ".ci/charts.py"), *args]
    nothing = clone / "empty"
    return subprocess.run(
        command, env={"PATH": str(nothing)}, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--if-possible"], 0, "exai: the dashboard goes without charts: npm is not installed\n"),
        ([], 2, "exai: error: no Chart.js: npm is not installed\n"),
    ],
)
def test_without_npm(clone: Path, args: list[str], code: int, said: str) -> None:
    done = run(clone, *args)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", said)
    assert not (clone / PAGE / "static").exists()


def test_what_is_there_by_the_same_lock_is_left_alone(clone: Path) -> None:
    vendor = clone / PAGE / "static/vendor"
    vendor.mkdir(parents=True)
    shutil.copy(clone / PAGE / "package-lock.json", vendor)
    assert run(clone).returncode == 0
    (vendor / "package-lock.json").write_text("another one")
    assert run(clone).returncode == 2


def test_the_versions_are_the_ones_locked() -> None:
    package, lock = (
        json.loads((ROOT / PAGE / name).read_text(encoding="utf-8"))
        for name in ("package.json", "package-lock.json")
    )
    assert lock["packages"][""]["dependencies"] == package["dependencies"]
    for name, version in package["dependencies"].items():
        locked = lock["packages"][f"node_modules/{name}"]
        assert locked["version"] == version
        assert locked["integrity"].startswith("sha512-")
