"""The two real compose files: every fault that they are known for, once, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from exai_ops.env.rules.compose import RULES
from exai_ops.env.rules.table import Context
from exai_ops.env.runner import run

from .compose_cases import load

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (
            "2025-10-18",
            [
                "12 CMP008 warning", "13 CMP008 warning", "14 CMP008 warning", "15 CMP008 warning",
                "25 CMP004 info", "26 CMP007 error", "35 CMP012 warning", "91 CMP008 warning",
                "127 CMP016 info", "128 CMP010 warning", "133 CMP008 warning", "138 CMP002 error",
                "138 CMP005 warning", "140 CMP014 warning", "144 CMP012 warning",
            ],
        ),
        (
            "2025-11-16",
            [
                "13 CMP008 warning", "14 CMP008 warning", "15 CMP008 warning", "16 CMP008 warning",
                "30 CMP004 info", "131 CMP004 info", "189 CMP008 warning", "224 CMP016 info",
                "225 CMP010 warning", "230 CMP008 warning", "234 CMP013 error", "240 CMP002 error",
            ],
        ),
    ],
)  # fmt: skip
def test_real_files(folder: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DATA / folder)
    found = run(RULES, Context(project=load("docker-compose.yml")))
    assert [f"{f.where.line} {f.code} {f.status}" for f in found] == expected
    assert {f.where.file for f in found} == {"docker-compose.yml"}


def test_with_the_env_file_the_password_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DATA / "2025-11-16")
    project = load("docker-compose.yml", env_file=".env.docker")
    assert "CMP002" not in {f.code for f in run(RULES, Context(project=project))}
    assert project.sources["REDIS_PASSWORD"].where is not None
