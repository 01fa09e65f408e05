"""Several files, ``extends``, ``include``, ``!reset`` and ``!override``, by the Compose specification."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exai_ops.compose.model import Project
from exai_ops.errors import CouldNotLook

from .compose_cases import load, write


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def body(project: Project, service: str = "web") -> dict[str, Any]:
    return dict(project.services[service].body)


def files_of(project: Project, service: str = "web") -> list[str]:
    return [file.path for file in project.services[service].env_files]


def environment(project: Project, service: str = "web") -> dict[str, str | None]:
    return {variable.key: variable.value for variable in project.services[service].environment}


@pytest.mark.parametrize(
    ("key", "base", "over", "merged"),
    [
        ("image", "a", "b", "b"),
        ("image", "a", "null", "a"),
        ("command", "[a, b]", "[c]", ["c"]),
        ("command", "a b", "[c]", ["c"]),
        ("entrypoint", "[a]", "b", "b"),
        ("healthcheck", "{test: [CMD, a], retries: 1}", "{test: [CMD, b]}",
         {"test": ["CMD", "b"], "retries": 1}),
        ("environment", "[A=1, B=2]", "[B=3, C]", ["A=1", "B=3", "C"]),
        ("environment", "{A: 1, B: 2}", "{B: 3}", ["A=1", "B=3"]),
        ("environment", "{A: 1, B: true}", "[B=3]", ["A=1", "B=3"]),
        ("environment", "[A=1]", "{A: null}", ["A"]),
        ("env_file", "a.env", "[b.env]", ["a.env", "b.env"]),
        ("env_file", "[a.env, b.env]", "[{path: a.env, required: false}]",
         [{"path": "a.env", "required": False}, "b.env"]),
        ("dns", "1.1.1.1", "[8.8.8.8, 1.1.1.1]", ["1.1.1.1", "8.8.8.8"]),
        ("ports", "['8080:80']", "['8443:443', '8080:80']", ["8080:80", "8443:443"]),
        ("ports", "['8080:80']", "['0.0.0.0:8080:80/tcp']", ["0.0.0.0:8080:80/tcp"]),
        ("ports", "['8080:80']", "[{target: 80, published: '8080'}]", [{"target": 80, "published": "8080"}]),
        ("ports", "['8080:80']", "['127.0.0.1:8080:80', '8080:80/udp']",
         ["8080:80", "127.0.0.1:8080:80", "8080:80/udp"]),
        ("expose", "['80']", "['80', '81']", ["80", "81"]),
        ("volumes", "['foo:/work']", "['bar:/work', './x:/y:ro']", ["bar:/work", "./x:/y:ro"]),
        ("volumes", "['c:\\\\p:/mnt:ro']", "['d:/q:/mnt']", ["d:/q:/mnt"]),
        ("volumes", "[{type: bind, source: ., target: /a}]", "['v:/a']", ["v:/a"]),
        ("secrets", "[a, b]", "[{source: c, target: /run/secrets/a}]",
         [{"source": "c", "target": "/run/secrets/a"}, "b"]),
        ("configs", "[a]", "[a, {source: b}]", ["a", {"source": "b"}]),
        ("devices", "['/dev/a:/dev/x']", "['/dev/b:/dev/x']", ["/dev/b:/dev/x"]),
        ("cap_add", "[A]", "[A, B]", ["A", "B"]),
        ("labels", "{a: 1}", "[a=2, b]", ["a=2", "b"]),
        ("extra_hosts", "['h:1']", "['h:1', 'i:2']", ["h:1", "i:2"]),
        ("build", ".", "{dockerfile: D}", {"context": ".", "dockerfile": "D"}),
        ("build", "{args: [A=1]}", "{args: {A: 2}}", {"args": ["A=2"]}),
        ("ulimits", "{nofile: {soft: 1, hard: 2}}", "{nofile: 5}", {"nofile": 5}),
        ("logging", "{driver: x, options: {a: 1}}", "{options: {b: 2}}",
         {"driver": "x", "options": {"a": 1, "b": 2}}),
        ("logging", "{driver: x, options: {a: 1}}", "{driver: y}", {"driver": "y"}),
        ("deploy", "{resources: {limits: {cpus: '1'}}}", "{resources: {limits: {memory: 1G}}}",
         {"resources": {"limits": {"cpus": "1", "memory": "1G"}}}),
        ("networks", "[a]", "{b: {aliases: [x]}}", {"a": None, "b": {"aliases": ["x"]}}),
        ("profiles", "[a]", "[a, b]", ["a", "b"]),
        ("depends_on", "[redis]", "{db: {condition: service_healthy}}",
         {"redis": {"condition": "service_started", "required": True},
          "db": {"condition": "service_healthy"}}),
        ("x-own", "[1]", "[1, 2]", [1, 1, 2]),
        ("ports", "['1:1']", "!override ['2:2']", ["2:2"]),
        ("ports", "['1:1']", "!reset []", None),
        ("environment", "[A=1, B=2]", "{A: !reset null}", ["B=2"]),
        ("environment", "{A: 1, B: 2}", "{A: !reset null}", ["B=2"]),
        ("healthcheck", "{test: [CMD, a], retries: 1}", "!override {retries: 2}", {"retries": 2}),
    ],
)  # fmt: skip
def test_two_files_and_extends_merge_alike(key: str, base: str, over: str, merged: object) -> None:
    write(
        Path(),
        {
            "a.yml": f"services:\n  web:\n    {key}: {base}\n",
            "b.yml": f"services:\n  web:\n    {key}: {over}\n",
            "c.yml": f"services:\n  low:\n    {key}: {base}\n  web:\n    extends: low\n    {key}: {over}\n",
            "d.yml": f"services:\n  web:\n    extends: {{file: a.yml, service: web}}\n    {key}: {over}\n",
        },
    )
    for project in (load("a.yml", "b.yml"), load("c.yml"), load("d.yml")):
        assert body(project).get(key) == merged
        assert not project.problems


def test_maps_of_environment_become_lists_when_they_are_merged() -> None:
    write(
        Path(),
        {
            "a.yml": "services: {web: {environment: {A: 1, E: ''}}}\n",
            "b.yml": "services: {web: {environment: [B=2]}}\n",
        },
    )
    assert environment(load("a.yml", "b.yml")) == {"A": "1", "E": "", "B": "2"}


def test_three_files_and_a_reset_in_the_middle() -> None:
    write(
        Path(),
        {
            "a.yml": "services: {web: {environment: [A=1], ports: ['1:1'], image: x}}\n",
            "b.yml": "services: {web: {environment: {A: !reset null}, ports: !reset []}}\n",
            "c.yml": "services: {web: {environment: [B=2], ports: ['3:3']}, late: {image: y}}\n",
        },
    )
    project = load("a.yml", "b.yml", "c.yml")
    assert body(project) == {"environment": ["B=2"], "ports": ["3:3"], "image": "x"}
    assert project.files == ("a.yml", "b.yml", "c.yml")
    assert list(project.services) == ["web", "late"]


def test_a_reset_beside_extends_also_holds_against_earlier_files() -> None:
    write(
        Path(),
        {
            "a.yml": "services: {web: {ports: ['1:1'], image: x}}\n",
            "b.yml": "services: {low: {ports: ['2:2']}, web: {extends: low, ports: !reset []}}\n",
        },
    )
    assert body(load("a.yml", "b.yml")) == {"image": "x"}


def test_an_override_in_what_is_extended_is_not_inherited() -> None:
    write(
        Path(),
        {
            "a.yml": "services: {web: {ports: ['1:1']}}\n",
            "b.yml": "services: {low: {ports: !override ['2:2']}, web: {extends: low}}\n",
        },
    )
    assert body(load("a.yml", "b.yml"))["ports"] == ["1:1", "2:2"]


def test_a_reset_service_is_gone() -> None:
    write(
        Path(),
        {"a.yml": "services: {web: {image: x}, db: {image: y}}\n", "b.yml": "services: {db: !reset null}\n"},
    )
    assert list(load("a.yml", "b.yml").services) == ["web"]


def test_documents_of_one_file_are_merged_in_order() -> None:
    write(Path(), {"a.yml": "services: {web: {image: x}}\n---\nservices: {web: {image: y}}\n"})
    assert body(load("a.yml")) == {"image": "y"}


def test_places_follow_the_file_that_wins() -> None:
    write(
        Path(),
        {
            "a.yml": "services:\n  web:\n    image: x\n    environment:\n      - A=1\n      - B=2\n",
            "b.yml": "services:\n  web:\n    environment:\n      B: 3\n",
        },
    )
    service = load("a.yml", "b.yml").services["web"]
    assert [(v.key, v.place.file, v.place.line) for v in service.environment] == [
        ("A", "a.yml", 5),
        ("B", "b.yml", 4),
    ]
    assert (service.places["image"].file, service.places["image"].line) == ("a.yml", 3)
    assert service.at("ports.0") == service.place


def test_what_cannot_be_merged_is_a_problem() -> None:
    write(
        Path(),
        {"a.yml": "services: {web: {ports: ['1:1']}}\n", "b.yml": "services:\n  web:\n    ports: {a: 1}\n"},
    )
    (problem,) = load("a.yml", "b.yml").problems
    assert (problem.kind, problem.place.file, problem.place.line) == ("shape", "b.yml", 3)
    assert problem.message == "services.web.ports is a mapping, and a list at a.yml:1"


# --- extends -----------------------------------------------------------------------------------


def test_extends_from_another_folder_keeps_its_paths() -> None:
    write(
        Path(),
        {
            "sub/base.yml": """
                services:
                  low: {env_file: low.env, environment: [A=1]}
                  mid: {extends: low, env_file: [../up.env]}
            """,
            "sub/low.env": "X=1\n",
            "c.yml": "services: {web: {extends: {file: sub/base.yml, service: mid}, env_file: own.env}}\n",
        },
    )
    project = load("c.yml")
    assert files_of(project) == ["sub/low.env", "up.env", "own.env"]
    assert project.services["web"].env_files[0].data == b"X=1\n"
    assert project.files == ("c.yml", "sub/base.yml")
    assert list(project.services) == ["web"]


def test_a_chain_across_files() -> None:
    write(
        Path(),
        {
            "one.yml": "services: {s: {extends: {file: d/two.yml, service: s}, environment: [ONE=1]}}\n",
            "d/two.yml": "services: {s: {extends: {file: ../three.yml, service: s}, environment: [TWO=1]}}\n",
            "three.yml": "services: {s: {image: x, env_file: t.env}}\n",
        },
    )
    project = load("one.yml")
    assert environment(project, "s") == {"ONE": "1", "TWO": "1"}
    assert files_of(project, "s") == ["t.env"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: {a: {extends: b}}\n", "c.yml:1: extends 'b', which c.yml does not have"),
        ("services: {a: {extends: a}}\n", "c.yml:1: the service 'a' extends itself"),
        ("services: {a: {extends: b}, b: {extends: a}}\n", "extends itself"),
        ("services: {a: {extends: {file: c.yml, service: a}}}\n", "extends itself"),
        ("services: {a: {extends: {file: no.yml, service: a}}}\n", "no.yml: does not exist"),
        ("services: {a: {extends: {file: 'https://x/y.yml', service: a}}}\n",
         "c.yml:1: refers to something remote"),
        ("services: [a]\n", "c.yml:1: services must be a mapping"),
        ("services: {a: text}\n", "c.yml:1: the service 'a' must be a mapping"),
        ("- a\n", "c.yml:1: the top of a compose file must be a mapping"),
        ("", "c.yml: holds nothing"),
        ("# nothing\n", "c.yml: holds nothing"),
        ("include: [c.yml]\n", "c.yml:1: c.yml includes itself"),
        ("include: [no.yml]\n", "no.yml: does not exist"),
        ("include: ['oci://x/y']\n", "c.yml:1: refers to something remote"),
        ("include: [{env_file: a}]\n", "c.yml:1: include names no path"),
        ("include: [{path: {a: 1}}]\n", "c.yml:1: a path must be a text"),
    ],
)  # fmt: skip
def test_what_cannot_be_put_together(text: str, message: str) -> None:
    write(Path(), {"c.yml": text})
    with pytest.raises(CouldNotLook) as caught:
        load("c.yml")
    assert message in caught.value.message


def test_long_chains_and_many_files_end() -> None:
    links = "".join(f"  s{n}: {{extends: s{n + 1}}}\n" for n in range(5000))
    write(Path(), {"c.yml": f"services:\n{links}  s5000: {{image: x}}\n"})
    with pytest.raises(CouldNotLook, match="a chain that is too long"):
        load("c.yml")
    fan = {f"f{n}.yml": f"include: [f{n + 1}.yml, f{n + 1}.yml, f{n + 1}.yml]\n" for n in range(12)}
    write(Path(), {**fan, "f12.yml": "services: {a: {image: x}}\n"})
    with pytest.raises(CouldNotLook, match="more than 200 files"):
        load("f0.yml")


# --- include -----------------------------------------------------------------------------------


def test_include_in_its_short_and_long_form() -> None:
    write(
        Path(),
        {
            "c.yml": """
                include:
                  - sub/redis.yml
                  - path: [other/db.yml, other/db.override.yml]
                    project_directory: .
                    env_file: db.env
                services:
                  web: {image: w, depends_on: [redis]}
                  redis: {environment: [MORE=1]}
            """,
            "sub/redis.yml": "services: {redis: {image: 'r:${TAG}', env_file: r.env, environment: [A=1]}}\n",
            "sub/.env": "TAG=7\n",
            "sub/r.env": "X=1\n",
            "other/db.yml": "services: {db: {image: '${DB}', env_file: d.env}}\n",
            "other/db.override.yml": "services: {db: {environment: ['TAG=${TAG-none}']}}\n",
            "db.env": "DB=postgres:16\n",
        },
    )
    project = load("c.yml")
    assert set(project.services) == {"web", "redis", "db"}
    assert body(project, "redis")["image"] == "r:7"
    assert environment(project, "redis") == {"A": "1", "MORE": "1"}
    assert files_of(project, "redis") == ["sub/r.env"]
    assert body(project, "db")["image"] == "postgres:16"
    assert environment(project, "db") == {"TAG": "none"}
    assert files_of(project, "db") == ["d.env"]
    assert project.files == ("c.yml", "sub/redis.yml", "other/db.yml", "other/db.override.yml")
    assert "TAG" not in project.environment


def test_what_holds_outside_wins_over_the_env_file_of_an_include() -> None:
    write(
        Path(),
        {
            "c.yml": "include: [{path: sub/i.yml, env_file: i.env}]\n",
            "sub/i.yml": "services: {a: {image: '${A}${B}${C}'}}\n",
            "i.env": "A=file\nB=file\nC=file\n",
            ".env": "B=dotenv\n",
        },
    )
    assert body(load("c.yml", environ={"A": "shell"}), "a")["image"] == "shelldotenvfile"


def test_a_service_can_extend_what_is_included() -> None:
    write(
        Path(),
        {
            "c.yml": "include: [i.yml]\nservices: {web: {extends: low, image: x}}\n",
            "i.yml": "services: {low: {environment: [A=1]}}\n",
        },
    )
    assert environment(load("c.yml")) == {"A": "1"}
