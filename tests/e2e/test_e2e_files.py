"""Open files: the daemon takes as many as its connections need."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def few_files() -> Any:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_to_what_is_needed(few_files: int, start_daemon: Callable[..., Any]) -> None:
    daemon = start_daemon()
    assert daemon.port  # which is known once it is ready
    with open(f"/proc/{daemon.pid}/limits", encoding="utf-8") as limits:  # noqa: PTH123
        (line,) = (row for row in limits if row.startswith("Max open files"))
    soft = line.split()[3]
    assert int(soft) == min(2 * 1000 + 64 + 256, few_files)
