"""``exai env check`` guards this checkout as it is, with a live file made as docs/docker.md says."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exai_ops.env.rules import RULES

from .container import ROOT, SECRETS

CHECK = ("env", "check", "--code", "exai_ops")


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, encoding="utf-8", check=False, timeout=60
    )


def git(folder: Path, *args: str) -> str:
    done = run(folder, "git", *args)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The command itself, in a process of its own."""
    return run(folder, sys.executable, "-m", "exai_ops", *CHECK, *args)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with the files of this checkout as they are now, and no ``.env.docker``."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    return folder


@pytest.fixture
def started(clone: Path) -> Path:
    """The clone, with the example copied to ``.env.docker`` and its two secrets filled in."""
    shutil.copy(clone / ".env.example", clone / ".env.docker")
    for name in SECRETS:
        change(clone / ".env.docker", f"\n{name}=\n", f"\n{name}={secrets.token_urlsafe(32)}\n")
    return clone


def test_a_fresh_clone_says_what_to_do(clone: Path) -> None:
    done = check(clone)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines() == [
        "exai: error: .env.docker: does not exist, and [tool.exai] env_file in pyproject.toml names it",
        "hint: cp .env.example .env.docker, and fill it in",
    ]


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_every_rule_looks_and_none_finds_anything(started: Path) -> None:
    done = check(started, "--fail-on", "warning")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
    assert git(started, "status", "--porcelain", "--untracked-files=all", "--", ".env.docker") == ""


DRIFT = {
    "ENV001": (".env.docker", "\nREDIS_COMMANDER_PORT=8081\n", "\n"),
    "ENV002": (".env.docker", "\nEXAI_WS_PORT=8079\n", "\nEXAI_WS_PORT=8079\nNEW_LIMIT=1\n"),
    "ENV003": (".env.docker", "\nEXAI_WS_PORT=8079\n", "\nEXAI_WS_PORT=8079\nEXAI_WS_PORT=8078\n"),
    "ENV005": (".env.docker", "\nEXAI_WS_PORT=8079\n", "\nEXAI_WS_PORT=8078\n"),
    "ENV104": (".env.example", "\nKIMI_API_KEY=\n", "\nKIMI_API_KEY= # of the console\n"),
    "ENV201": (".env.docker", "\nEXAI_WS_PORT=8079\n", "\nEXAI_WS_PROT=8079\n"),
    "ENV203": ("exai_ops/__init__.py", "\n__version__", "\nimport os\nX = os.getenv('EXAI_X')\n__version__"),
    "ENV204": (".env.example", "\nEXAI_WS_PORT=8079\n", "\nEXAI_WS_PORT=8079\nNOBODY_READS=1\n"),
    "ENV205": (".env.docker", "\nEXAI_WS_PORT=8079\n", "\nEXAI_WS_PORT=eight\n"),
    "ENV208": (".env.docker", "\nEXAI_WS_PING_INTERVAL=30\n", "\nEXAI_WS_PING_INTERVAL=45\n"),
    "ENV303": (".env.docker", "\nKIMI_API_KEY=\n", "\nKIMI_API_KEY=your_api_key_here\n"),
    "CMP007": ("compose/docker-compose.yml", "../.env.docker", "../.env.gone"),
    "CMP008": ("compose/docker-compose.yml", "'127.0.0.1:${EXAI_WS_PORT", "'${EXAI_WS_PORT"),
}  # fmt: skip


@pytest.mark.parametrize("code", DRIFT)
def test_it_fails_for_one_drift_with_its_code(started: Path, code: str) -> None:
    name, old, new = DRIFT[code]
    change(started / name, old, new)
    done = check(started, "--fail-on", "warning", "--format", "short")
    assert (done.returncode, done.stderr) == (1, "")
    assert f" {code} " in done.stdout
    assert {rule.code for rule in RULES} >= {code}


def test_it_fails_when_the_live_file_is_committed(started: Path) -> None:
    git(started, "add", "--force", ".env.docker")
    done = check(started, "--format", "short")
    assert (done.returncode, done.stdout.split()[2]) == (1, "ENV302")


def test_after_the_copy_the_hints_are_enough(clone: Path) -> None:
    """The commands and lines that the check gives lead to what ``started`` is."""
    shutil.copy(clone / ".env.example", clone / ".env.docker")
    for name in SECRETS:
        done = check(clone, "--format", "json", "--fail-on", "warning")
        (first, *_) = json.loads(done.stdout)["findings"]
        match = re.fullmatch(r"fill in (\w+)= in (\S+); this makes one: (.*)", first["hint"])
        assert match
        key, file, command = match.groups()
        assert (done.returncode, key, file) == (1, name, ".env.docker")
        change(clone / file, f"\n{key}=\n", f"\n{key}={run(clone, 'sh', '-c', command).stdout}")
    done = check(clone, "--fail-on", "info")
    assert (done.returncode, done.stdout) == (0, "ok\n")
