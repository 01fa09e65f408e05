"""Whatever a compose file holds, it is judged or refused in one line: nothing else is raised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exai_ops.env.effective import candidates, readings_of
from exai_ops.env.readers import READERS
from exai_ops.env.rules.compose import RULES
from exai_ops.env.rules.table import Context
from exai_ops.errors import ExaiError

from .compose_cases import load

KEYS = (
    "build", "command", "configs", "container_name", "depends_on", "deploy", "devices", "entrypoint",
    "env_file", "environment", "expose", "extends", "extra_hosts", "healthcheck", "image", "logging",
    "networks", "ports", "profiles", "secrets", "ulimits", "volumes",
)  # fmt: skip
TEXTS = st.sampled_from(
    ["", "a", "web", "redis:latest", "80:80", "1-2:3-4", "${A}", "${A:?x}", "$$A", "${", "A=${B:-$C}", "e",
     "REDIS_HOST=localhost", "TZ=UTC", "CMD", "true", "redis-cli -a x", "c.yml", "\n", "-" * 300, ".."]
)  # fmt: skip
NAMES = st.sampled_from(["a", "web", "redis-commander", "a\nb"])
INNER = st.sampled_from(["test", "path", "file", "service", "target", "published", "REDIS_HOSTS", "a", "web"])
LEAVES = st.none() | st.booleans() | st.integers(-1, 99999) | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(INNER, inner, max_size=3),
    max_leaves=6,
)
SERVICES = st.dictionaries(NAMES, st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), max_size=3)
FILES = st.fixed_dictionaries({"services": SERVICES}, optional={"x-a": VALUES, "volumes": VALUES})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=FILES, second=FILES)
def test_any_two_files(first: Any, second: Any, tmp_path: Path) -> None:
    (tmp_path / "c.yml").write_text(json.dumps(first), encoding="utf-8")
    (tmp_path / "d.yml").write_text(json.dumps(second), encoding="utf-8")
    (tmp_path / "e").write_text("A=1\nTZ=UTC\n", encoding="utf-8")
    try:
        project = load(str(tmp_path / "c.yml"), str(tmp_path / "d.yml"))
    except ExaiError:
        return
    found = [finding for rule in RULES for finding in rule.function(Context(project=project))]
    assert all("\n" not in finding.message and finding.where.file for finding in found)
    for service in project.services.values():
        candidates(project, service, readings_of(project, service, READERS), "A")
