"""The redis service: the real server with the stack's configuration, command, user and healthcheck."""

from __future__ import annotations

import hashlib
import shlex
import signal

import pytest

from .container import SECRETS, Container, Image, Start

PASSWORD = SECRETS["REDIS_PASSWORD"].replace("$$", "$")


@pytest.fixture
def redis(start: Start) -> Container:
    container = start("redis", Image())
    container.log.first(lambda line: "Ready to accept connections" in line)
    return container


def cli(redis: Container, *command: str, password: str = "$REDIS_PASSWORD") -> str:
    line = f'REDISCLI_AUTH="{password}" redis-cli {shlex.join(command)}'
    return redis.run(["sh", "-c", line]).stdout.strip()


def test_it_asks_for_the_password_and_keeps_what_it_must(redis: Container) -> None:
    assert redis.environment()["REDIS_PASSWORD"] == PASSWORD
    assert cli(redis, "ping") == "PONG"
    assert "NOAUTH" in redis.run(["redis-cli", "ping"]).stdout
    assert "NOAUTH" in cli(redis, "ping", password="wrong")
    for name, value in (
        ("appendonly", "yes"),
        ("maxmemory-policy", "noeviction"),
        ("maxmemory", "268435456"),
    ):
        assert cli(redis, "config", "get", name).splitlines() == [name, value]


def test_no_list_of_processes_and_no_file_shows_the_password(redis: Container) -> None:
    assert redis.main.name() == "redis-server"
    assert PASSWORD not in " ".join(redis.main.cmdline())
    assert PASSWORD not in redis.main.environ().values()
    assert PASSWORD not in "".join(redis.log.lines)
    digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
    assert digest in cli(redis, "acl", "list")


def test_what_was_written_is_there_after_a_restart(redis: Container, start: Start) -> None:
    assert cli(redis, "set", "k", "v") == "OK"
    redis.main.send_signal(signal.SIGTERM)
    assert redis.wait() == 0
    again = start("redis", Image())
    again.log.first(lambda line: "Ready to accept connections" in line)
    assert cli(again, "get", "k") == "v"


def test_a_full_redis_refuses_and_evicts_nothing(redis: Container) -> None:
    assert cli(redis, "set", "k", "v") == "OK"
    assert cli(redis, "config", "set", "maxmemory", "1") == "OK"
    assert "OOM" in cli(redis, "set", "k", "other")
    assert cli(redis, "get", "k") == "v"


def test_it_may_write_to_its_volume_and_tmpfs_alone(redis: Container) -> None:
    (line,) = redis.run(
        ["sh", "-c", "touch /x /etc/x /usr/x; touch /data/x /run/redis/x && id -u"]
    ).stdout.splitlines()
    assert line == "999"


def test_the_healthcheck_can_fail(redis: Container) -> None:
    assert redis.healthy()
    redis.main.suspend()
    assert not redis.healthy()
    redis.main.resume()
    assert redis.healthy()
    redis.main.kill()
    redis.wait()
    assert not redis.healthy()


def test_an_empty_password_starts_nothing(start: Start) -> None:
    container = start("redis", Image(), {**SECRETS, "REDIS_PASSWORD": ""})
    assert container.wait() == 1
    assert container.log.lines == ["redis-start: REDIS_PASSWORD is empty; set it in .env.docker"]
