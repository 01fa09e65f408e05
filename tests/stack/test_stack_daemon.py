"""The daemon service: the wheel in the image's own environment, with the stack's command and healthcheck."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from e2e.exai_process import parsed

from .container import ROOT, SECRETS, Container, Image, Start
from .dockerfile import stages

pytestmark = pytest.mark.timeout(900)  # the first to come makes the image

TOKEN = SECRETS["EXAI_WS_TOKEN"]
ASK = """
import http.client, json, sys
connection = http.client.HTTPConnection("127.0.0.1", 8079, timeout=5)
connection.request("GET", sys.argv[1], headers=json.loads(sys.argv[2]))
print(connection.getresponse().status)
"""


@pytest.fixture
def daemon(start: Start, image: Image) -> Container:
    container = start("daemon", image)
    container.log.first(lambda line: parsed(line).get("event") == "ready")
    return container


def ask(daemon: Container, path: str, headers: str = "{}") -> int:
    return int(daemon.run(["python", "-c", ASK, path, headers]).stdout)


def test_it_is_ready_and_wants_the_token(daemon: Container) -> None:
    assert daemon.healthy()
    assert ask(daemon, "/health") == 401
    assert ask(daemon, "/health", f'{{"Authorization": "Bearer {TOKEN}"}}') == 200
    assert TOKEN not in " ".join(daemon.main.cmdline()) + "".join(daemon.log.lines)


def test_it_is_served_by_the_name_of_its_service_and_by_no_other(daemon: Container) -> None:
    assert ask(daemon, "/health/ready", '{"Host": "daemon:8079"}') == 200
    assert ask(daemon, "/health/ready", '{"Host": "elsewhere.example"}') in (400, 403, 421)


def test_a_command_in_the_container_finds_the_daemon(daemon: Container) -> None:
    called = daemon.run(["exai", "call", "chat", "--prompt", "Hello"])
    assert (called.returncode, "Hello" in called.stdout) == (0, True), called.stderr


def test_it_keeps_its_state_in_the_volume_and_may_write_nowhere_else(
    daemon: Container, tmp_path: Path
) -> None:
    assert (tmp_path / "state" / "exai.sqlite3").exists()
    wrote = daemon.run(["sh", "-c", "touch /opt/exai/x /x; touch /tmp/x /var/lib/exai/x && id -u && id -g"])
    assert wrote.stdout.split() == ["10001", "10001"]


def test_the_healthcheck_can_fail(daemon: Container) -> None:
    daemon.main.suspend()
    assert not daemon.healthy()
    daemon.main.resume()
    assert daemon.healthy()
    daemon.main.kill()
    daemon.wait()
    assert not daemon.healthy()


def test_the_signal_of_the_image_drains_and_shows_in_the_exit_code(daemon: Container) -> None:
    assert ("STOPSIGNAL", "SIGTERM") in stages()[""]
    daemon.main.send_signal(signal.SIGTERM)
    assert daemon.wait() == 128 + signal.SIGTERM
    assert {"draining", "stopped"} & {parsed(line).get("event") for line in daemon.log.lines}


def test_without_a_token_the_daemon_does_not_start(start: Start, image: Image) -> None:
    container = start("daemon", image, {**SECRETS, "EXAI_WS_TOKEN": ""})
    assert container.wait() == 2
    assert "EXAI_WS_TOKEN is empty" in "".join(container.log.lines)


def test_the_image_holds_the_locked_versions_and_nothing_to_build_with(image: Image) -> None:
    packages = image.folders["/opt/exai"].glob("lib/python*/site-packages/*.dist-info")
    held = {p.name.removesuffix(".dist-info").replace("_", "-").lower() for p in packages}
    locked = {
        line.split(" ")[0].split(";")[0].replace("==", "-").replace("_", "-").lower()
        for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    ours = {name for name in held if name.startswith("exai-ops-")}
    assert len(ours) == 1
    assert held - ours <= locked
    assert not {name.rpartition("-")[0] for name in held} & {"pip", "setuptools", "hatchling", "editables"}


def test_the_image_holds_the_page_and_its_charts(image: Image) -> None:
    (page,) = image.folders["/opt/exai"].glob("lib/python*/site-packages/exai_ops/dashboard")
    assert (page / "static/vendor/chart.js").read_bytes().startswith(b"/*!\n * Chart.js v")
    assert "Permission is hereby granted" in (page / "static/vendor/LICENSES.txt").read_text(encoding="utf-8")
    assert not list(page.rglob("package*.json"))


def test_the_image_and_the_compose_file_ask_the_same_of_the_daemon(daemon: Container) -> None:
    checks = [rest for name, rest in stages()[""] if name == "HEALTHCHECK"]
    assert [check.partition("CMD ")[2] for check in checks] == ['["exai-ready"]']
    assert ("USER", "10001:10001") in stages()[""]
    assert daemon.run(["python", "-m", "pip"]).returncode != 0
    subprocess.run(["sh", "-n", ROOT / "compose" / "redis-start.sh"], check=True)
