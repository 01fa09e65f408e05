"""What git tracks below a folder, asked of a real git in the background."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from exai_ops.env.tracked import asking


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that tracks ``.env`` and ``below/né w.env``, and has ``other`` beside them."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    below = tmp_path / "below"
    below.mkdir()
    for file in (tmp_path / ".env", tmp_path / "other", below / "né w.env"):
        file.write_text("A=1\n")
    for command in (["init", "--quiet"], ["add", ".env", "below"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, capture_output=True)
    return tmp_path


def test_paths_are_relative_to_the_folder(repository: Path) -> None:
    with asking(repository) as tracked:
        assert tracked() == frozenset({".env", "below/né w.env"})
    with asking(repository / "below") as tracked:
        assert tracked() == frozenset({"né w.env"})


def test_nothing_is_known_without_a_repository(tmp_path: Path) -> None:
    with asking(tmp_path) as tracked:
        assert tracked() is None


def test_nothing_is_known_of_a_broken_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: gone\n")
    with asking(tmp_path) as tracked:
        assert tracked() is None


def test_nothing_is_known_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository / "empty"))
    with asking(repository) as tracked:
        assert tracked() is None


def test_no_process_is_left_when_nobody_waits(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Kept(subprocess.Popen[bytes]):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[call-overload]
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Kept)
    with pytest.raises(KeyboardInterrupt), asking(repository):
        raise KeyboardInterrupt
    (process,) = started
    assert process.returncode is not None


def test_nothing_that_the_repository_configures_is_run(repository: Path) -> None:
    ran = repository / "ran"
    hook = repository / "hook"
    hook.write_text(f"#!/bin/sh\ntouch '{ran}'\n")
    hook.chmod(0o755)
    subprocess.run(
        ["git", "-C", str(repository), "config", "core.fsmonitor", str(hook)], check=True, capture_output=True
    )
    with asking(repository) as tracked:
        assert tracked() is not None
    assert not ran.exists()
