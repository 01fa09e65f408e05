"""Compose projects from texts, in a folder that is the test's own."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from exai_ops.compose.model import Project
from exai_ops.compose.project import load_project
from exai_ops.env.gather import read_env_file


def write(folder: Path, files: Mapping[str, str]) -> None:
    """The files, with their common indent taken off."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")


def load(
    *files: str,
    env_file: str | Sequence[str] | None = None,
    environ: Mapping[str, str] | None = None,
    profiles: Sequence[str] = (),
) -> Project:
    """The project of files in the current folder."""
    return load_project(
        files, env_file=env_file, environ=environ or {}, profiles=profiles, read_env=read_env_file
    )
