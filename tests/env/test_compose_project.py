"""What a project knows beyond the merge: ``${...}`` and its sources, env files, profiles, bad files."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from exai_ops.compose.load import MAX_BYTES
from exai_ops.compose.model import Interpolation
from exai_ops.compose.names import NAMES, OVERRIDES, default_files
from exai_ops.errors import CouldNotLook, UsageError

from .compose_cases import load, write


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


WEB = "services: {web: {image: '${IMAGE}'}}\n"


@pytest.mark.parametrize(
    ("files", "env_file", "environ", "image", "kind", "where"),
    [
        ({}, None, {}, "", None, None),
        ({".env": "IMAGE=dotenv\n"}, None, {}, "dotenv", "env-file", ".env:1"),
        ({".env": "IMAGE=dotenv\n"}, None, {"IMAGE": "shell"}, "shell", "shell", None),
        ({".env": "IMAGE=dotenv\n"}, None, {"IMAGE": ""}, "", "shell", None),
        ({".env": "IMAGE=dotenv\n", "e": "A=1\n\nIMAGE=given\n"}, "e", {}, "given", "env-file", "e:3"),
        ({".env": "IMAGE=dotenv\n", "e": "A=1\n"}, "e", {}, "", None, None),
        ({"e": "IMAGE=one\n", "f": "IMAGE=two\n"}, ["e", "f"], {}, "two", "env-file", "f:1"),
        ({"e": "X=one\n", "f": "IMAGE=${X}-two\n"}, ["e", "f"], {}, "one-two", "env-file", "f:1"),
        ({"e": "IMAGE=one\n"}, None, {"COMPOSE_ENV_FILES": "e"}, "one", "env-file", "e:1"),
        ({".env": "IMAGE=d\n"}, None, {"COMPOSE_DISABLE_ENV_FILE": "1"}, "", None, None),
    ],
)
def test_what_a_name_is_resolved_from(
    files: dict[str, str], env_file: str | list[str] | None, environ: dict[str, str], image: str,
    kind: str | None, where: str | None,
) -> None:  # fmt: skip
    write(Path(), {"c.yml": WEB, **files})
    project = load("c.yml", env_file=env_file, environ=environ)
    assert project.services["web"].body["image"] == image
    assert project.services["web"].written["image"] == "${IMAGE}"
    source = project.sources.get("IMAGE")
    assert (source.kind if source else None) == kind
    place = source.where if source else None
    assert (f"{place.file}:{place.line}" if place else None) == where


def test_dotenv_is_looked_for_beside_the_first_file_alone() -> None:
    write(Path(), {"d/c.yml": WEB, ".env": "IMAGE=here\n", "d/.env": "IMAGE=there\n", "c2.yml": WEB})
    project = load("d/c.yml", "c2.yml")
    assert (project.env_file, project.services["web"].body["image"]) == ("d/.env", "there")


def test_env_file_of_a_service_never_feeds_a_name() -> None:
    write(
        Path(),
        {"c.yml": "services: {web: {image: 'x:${TAG}', env_file: .env.docker}}\n", ".env.docker": "TAG=1\n"},
    )
    project = load("c.yml")
    assert project.services["web"].body["image"] == "x:"
    assert [(i.name, i.found) for i in project.interpolations] == [("TAG", False)]


def test_every_reference_is_recorded_with_its_place() -> None:
    write(
        Path(),
        {
            "c.yml": """
                name: ${P:-x}
                services:
                  web:
                    image: "a:${A}-$A"
                    command: |
                      one $$B
                      two ${B:?no}
                    environment:
                      - C=${C-d}
            """
        },
    )
    project = load("c.yml", environ={"A": "1"})

    def seen(i: Interpolation) -> tuple[object, ...]:
        return i.name, i.kind, i.operand, i.place.line, i.place.column, i.service, i.path, i.found

    assert [seen(i) for i in project.interpolations] == [
        ("P", ":-", "x", 1, 7, None, "name", False),
        ("A", "plain", "", 4, 15, "web", "image", True),
        ("A", "plain", "", 4, 20, "web", "image", True),
        ("B", ":?", "no", 7, 11, "web", "command", False),
        ("C", "-", "d", 9, 11, "web", "environment.0", False),
    ]


def test_a_template_that_is_none_is_a_problem_and_the_rest_is_read() -> None:
    write(Path(), {"c.yml": "services:\n  web:\n    image: x\n    command: echo ${A B}\n"})
    project = load("c.yml")
    assert [(p.kind, p.place.line, p.place.column) for p in project.problems] == [("template", 4, 14)]
    assert project.services["web"].body["image"] == "x"


def test_a_required_name_that_is_missing_is_a_problem() -> None:
    write(Path(), {"c.yml": "services: {web: {image: '${A:?set A}', ports: ['1:1']}}\n"})
    project = load("c.yml")
    assert [p.kind for p in project.problems] == ["required"]
    assert project.services["web"].body["ports"] == ["1:1"]


def test_environment_and_env_file_in_all_forms() -> None:
    write(
        Path(),
        {
            "c.yml": """
                services:
                  web:
                    env_file:
                      - a.env
                      - path: b.env
                        required: false
                        format: raw
                    environment:
                      A: 1
                      B: "two"
                      C:
                      D: ""
                      E: true
                  db:
                    env_file: a.env
                    environment: [A, B=, C=x=y, "D=${A}"]
            """,
            "a.env": "X=1\n",
        },
    )
    project = load("c.yml", environ={"A": "shell"})
    web, db = project.services["web"], project.services["db"]
    assert [(f.path, f.required, f.raw, f.data, f.place.line) for f in web.env_files] == [
        ("a.env", True, False, b"X=1\n", 4),
        ("b.env", False, True, None, 5),
    ]
    assert [(v.key, v.value) for v in web.environment] == [
        ("A", "1"), ("B", "two"), ("C", None), ("D", ""), ("E", "true"),
    ]  # fmt: skip
    assert [(v.key, v.value, v.written) for v in db.environment] == [
        ("A", None, None), ("B", "", ""), ("C", "x=y", "x=y"), ("D", "shell", "${A}"),
    ]  # fmt: skip
    assert [f.path for f in db.env_files] == ["a.env"]


@pytest.mark.parametrize(
    ("given", "environ", "started"),
    [
        ((), {}, {"web"}),
        (("dev",), {}, {"web", "tool"}),
        (("*",), {}, {"web", "tool", "other"}),
        ((), {"COMPOSE_PROFILES": "dev, x"}, {"web", "tool", "other"}),
        (("x",), {"COMPOSE_PROFILES": "dev"}, {"web", "other"}),
    ],
)
def test_profiles(given: tuple[str, ...], environ: dict[str, str], started: set[str]) -> None:
    write(Path(), {"c.yml": "services: {web: {}, tool: {profiles: [dev]}, other: {profiles: [x]}}\n"})
    project = load("c.yml", profiles=given, environ=environ)
    assert {s.name for s in project.services.values() if project.is_active(s)} == started
    assert set(project.services) == {"web", "tool", "other"}


# --- bad input ---------------------------------------------------------------------------------


def test_bad_compose_files_are_refused_in_one_line() -> None:
    Path("folder").mkdir()
    os.mkfifo("fifo")
    Path("big").write_bytes(b"#" * (MAX_BYTES + 1))
    Path("latin").write_bytes(b"a: 1\nb: \xff\n")
    Path("binary").write_bytes(bytes(range(256)))
    messages = {
        "folder": "folder: is a folder, not a file",
        "fifo": "fifo: is a FIFO, not a file",
        "big": "big: is larger than 8 MiB",
        "latin": "latin:2: is not UTF-8",
        "binary": "binary:2: is not UTF-8",
        "missing": "missing: does not exist",
        "a\0b": "'a\\x00b': is no path",
    }
    for path, message in messages.items():
        with pytest.raises(CouldNotLook) as caught:
            load(path)
        assert (caught.value.message, caught.value.exit_code) == (message, 3)


def test_an_env_file_that_cannot_be_read_does_not_hide_the_rest() -> None:
    Path("folder").mkdir()
    os.mkfifo("fifo")
    write(Path(), {"c.yml": "services: {web: {env_file: [folder, fifo, no, ok]}}\n", "ok": "A=1\n"})
    problems = [file.problem for file in load("c.yml").services["web"].env_files]
    assert problems == ["is a folder, not a file", "is a FIFO, not a file", "does not exist", None]


def test_a_given_env_file_must_be_there() -> None:
    write(Path(), {"c.yml": WEB})
    with pytest.raises(CouldNotLook, match="none: does not exist"):
        load("c.yml", env_file="none")
    with pytest.raises(UsageError):
        load()


def test_a_byte_order_mark_and_other_line_ends_are_fine() -> None:
    Path("c.yml").write_bytes(b"\xef\xbb\xbfservices:\r\n  web:\r\n    image: '${A}'\r\n")
    (reference,) = load("c.yml").interpolations
    assert (reference.place.line, reference.place.column) == (3, 13)


def test_the_files_that_compose_takes_by_itself() -> None:
    """The first of its names and of those of an override, whose names need not be alike."""
    assert default_files() == ()
    for override in reversed(OVERRIDES):
        write(Path(), {override: WEB})
        assert default_files() == ()
    for name in reversed(NAMES):
        write(Path(), {name: WEB})
        assert default_files() == (name, "compose.override.yml")
    for gone, next_one in pairwise((*OVERRIDES, None)):
        Path(str(gone)).unlink()
        assert default_files() == (NAMES[0], *([next_one] if next_one else []))
    assert NAMES == ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
    assert OVERRIDES[:2] == ("compose.override.yml", "compose.override.yaml")
