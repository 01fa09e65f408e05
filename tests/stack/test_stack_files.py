"""The stack's files, by Compose's schema and dclint; and what each service must have."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from exai_ops.compose.model import Project
from exai_ops.settings import STACK_VARIABLES, VARIABLES, Settings, env_example

from .container import ROOT, SECRETS, load
from .dockerfile import stages

pytestmark = pytest.mark.timeout(600)  # the first to come installs npm's packages

COMPOSE = ROOT / "compose" / "docker-compose.yml"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return load(tmp_path, SECRETS)


def test_it_is_valid_by_the_schema_of_the_specification(node_modules: Path) -> None:
    path = node_modules / "dclint" / "schemas" / "compose.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    validator = jsonschema.Draft7Validator(schema)
    content = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(content)] == []
    content["services"]["redis"]["healthcheck"]["intervall"] = "1s"
    assert [error.message for error in validator.iter_errors(content)] != []


def test_dclint_finds_nothing(node_modules: Path) -> None:
    dclint = node_modules / ".bin" / "dclint"
    command = [
        str(dclint),
        "--max-warnings",
        "0",
        "-c",
        str(ROOT / "compose" / ".dclintrc.yml"),
        str(COMPOSE),
    ]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=60)
    assert (done.returncode, (done.stdout + done.stderr).strip()) == (0, "")


@pytest.mark.parametrize("missing", list(SECRETS))
def test_it_does_not_start_without_its_secrets(tmp_path: Path, missing: str) -> None:
    project = load(tmp_path, {**SECRETS, missing: ""})
    problems = [problem for problem in project.problems if problem.kind == "required"]
    assert problems
    assert all(f"{missing}" in problem.message for problem in problems)


def test_each_service_is_bounded_and_unprivileged(project: Project) -> None:
    assert list(project.services) == ["daemon", "redis", "redis-commander"]
    for service in project.services.values():
        body: Mapping[str, Any] = service.body
        assert body["read_only"] is body["init"] is True
        assert body["cap_drop"] == ["ALL"]
        assert body["security_opt"] == ["no-new-privileges:true"]
        assert not body["user"].startswith("0")
        assert set(body["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
        assert set(body["logging"]["options"]) == {"max-size", "max-file"}
        assert all(port.startswith("127.0.0.1:") for port in body.get("ports", ()))
        assert all(how == {"condition": "service_healthy"} for how in body.get("depends_on", {}).values())
    assert "ports" not in project.services["redis"].body
    assert project.services["redis-commander"].profiles == ("tools",)


@pytest.mark.parametrize(
    ("given", "zone"), [({}, "Australia/Melbourne"), ({"TZ": "Asia/Tokyo"}, "Asia/Tokyo")]
)
def test_every_service_has_the_one_time_zone(tmp_path: Path, given: dict[str, str], zone: str) -> None:
    project = load(tmp_path, {**SECRETS, **given})
    found = {v.value for s in project.services.values() for v in s.environment if v.key == "TZ"}
    assert found == {zone}
    assert COMPOSE.read_text(encoding="utf-8").count("  TZ: ") == 1


@pytest.mark.parametrize(("given", "grace"), [({}, "1m30s"), ({"EXAI_DRAIN_SECS": "0.5"}, "1m0.5s")])
def test_the_daemon_may_drain_to_its_end(tmp_path: Path, given: dict[str, str], grace: str) -> None:
    assert load(tmp_path, {**SECRETS, **given}).services["daemon"].body["stop_grace_period"] == grace


def test_a_default_of_the_stack_is_that_of_the_example(tmp_path: Path) -> None:
    stack = {variable.name: variable.default for variable in STACK_VARIABLES}
    daemon = {variable.name: variable.show(variable.default) for variable in VARIABLES}
    text = COMPOSE.read_text(encoding="utf-8")
    for name, default in re.findall(r"\$\{(\w+):-([^${}]*)\}", text):
        assert {**daemon, **stack}[name] == default, name
    assert {*re.findall(r"(?<!\$)\$\{(\w+)", text)} - {*daemon} == {*stack}


def test_the_story_of_the_ping_interval_stands_where_it_is_set() -> None:
    comment = (
        env_example().partition("\nEXAI_WS_PING_INTERVAL=30\n")[0].rpartition("\n\n")[2].replace("\n# ", " ")
    )
    assert all(number in comment for number in ("45", "3 was worse", "30 is stable"))
    assert Settings().ws_ping_interval_s == 30


def test_the_build_is_given_what_the_dockerfile_copies_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    admitted = {line[1:] for line in lines if line.startswith("!")}
    everything = [instruction for stage in stages().values() for instruction in stage]
    copied = {
        s
        for name, rest in everything
        if name == "COPY" and "--from" not in rest
        for s in shlex.split(rest)[:-1]
    }
    assert admitted == {
        next((a for a in admitted if f"{source}/".startswith(f"{a}/")), source) for source in copied
    }
    assert {"*", "**/node_modules", "exai_ops/dashboard/static/vendor"} <= {*lines}


@pytest.mark.parametrize("folder", ["tests/stack/npm", "exai_ops/dashboard"])
def test_a_lock_of_npm_names_no_host(folder: str) -> None:
    lock = json.loads((ROOT / folder / "package-lock.json").read_text(encoding="utf-8"))
    assert not [name for name, entry in lock["packages"].items() if {"resolved", "funding"} & entry.keys()]
