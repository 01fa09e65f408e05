"""The redis-commander service: the real program with its image's entrypoint, against the stack's Redis."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .container import SECRETS, Container, Image, Start

pytestmark = pytest.mark.timeout(600)  # the first to come installs npm's packages

SIGN_IN = """
const body = new URLSearchParams({username: process.env.HTTP_USER, password: process.argv[1]});
const asked = fetch("http://127.0.0.1:8081/signin", {method: "POST", body});
asked.then(answer => answer.json()).then(answer => console.log(answer.ok));
"""


@pytest.fixture
def commander_image(node_modules: Path, tmp_path: Path) -> Image:
    """As its Dockerfile has it; ``redis`` is the name of this network's only host."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost redis\n", encoding="utf-8")
    folders = {"/redis-commander": node_modules / "redis-commander", "/node_modules": node_modules}
    command = ["sh", "-c", "cd /redis-commander && exec docker/entrypoint.sh"]
    return Image({**folders, "/etc/hosts": hosts}, {"NODE_ENV": "production"}, command)


@pytest.fixture
def commander(start: Start, commander_image: Image) -> Container:
    redis = start("redis", Image())
    redis.log.first(lambda line: "Ready to accept connections" in line)
    container = start("redis-commander", commander_image)
    container.log.first(lambda line: "Redis Connection" in line)
    return container


def test_the_password_arrives_and_one_connection_is_made(commander: Container) -> None:
    # It says that it has a connection before Redis has been told its name.
    ask = 'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli -h redis client list'
    until = f"for _ in $(seq 200); do {ask} | grep -q name=redis-commander && break; sleep 0.1; done; {ask}"
    listed = commander.run(["sh", "-c", until]).stdout
    assert len(re.findall(r"name=redis-commander\b.* user=default\b", listed)) == 1
    made = [line for line in commander.log.lines if line.startswith("Redis Connection")]
    assert made == ["Redis Connection redis:6379 using Redis DB #0"]
    assert not [line for line in commander.log.lines if "NOAUTH" in line or "ECONNREFUSED" in line]
    assert SECRETS["REDIS_PASSWORD"] not in "".join(commander.log.lines)


def test_its_page_asks_for_a_password(commander: Container) -> None:
    password = commander.environment()["REDIS_PASSWORD"]
    for tried, ok in ((password, "true"), ("admin", "false"), ("", "false")):
        assert commander.run(["node", "-e", SIGN_IN, tried]).stdout.strip() == ok


def test_the_healthcheck_can_fail(commander: Container) -> None:
    assert commander.healthy()
    commander.main.suspend()
    assert not commander.healthy()
    commander.main.kill()
    commander.wait()
    assert not commander.healthy()
