"""Findings: exit codes and renderers."""

from __future__ import annotations

import json
from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.errors import UsageError
from exai_ops.findings import Finding, Location, Status, exit_code, parse_fail_on
from exai_ops.render import RENDERERS, renderer

FOUND = [
    Finding("SET001", Status.ERROR, "NAME: is wrong", "mend it", Location(".env", 3, "NAME")),
    Finding("SET006", Status.WARNING, "OTHER: is odd", where=Location(name="OTHER")),
    Finding("SET009", Status.UNKNOWN, "no such file", where=Location("x.env")),
]


def of(*statuses: Status) -> list[Finding]:
    return [Finding("SET001", status, "m") for status in statuses]


@pytest.mark.parametrize(
    ("statuses", "fail_on", "code"),
    [
        ([], Status.ERROR, 0),
        ([Status.OK, Status.INFO, Status.SKIP], Status.ERROR, 0),
        ([Status.WARNING], Status.ERROR, 0),
        ([Status.WARNING], Status.WARNING, 1),
        ([Status.ERROR], Status.WARNING, 1),
        ([Status.INFO], Status.INFO, 1),
        ([Status.ERROR], Status.ERROR, 1),
        ([Status.UNKNOWN], Status.ERROR, 3),
        ([Status.UNKNOWN, Status.ERROR], Status.ERROR, 1),
        ([Status.UNKNOWN, Status.WARNING], Status.ERROR, 3),
    ],
)
def test_exit_code(statuses: list[Status], fail_on: Status, code: int) -> None:
    assert exit_code(of(*statuses), fail_on=fail_on) == code


def test_what_could_not_be_looked_at_is_never_ok() -> None:
    every = chain.from_iterable(combinations(Status, n) for n in range(len(Status) + 1))
    assert all(exit_code(of(*some)) != 0 for some in every if Status.UNKNOWN in some)


@pytest.mark.parametrize("text", ["info", "warning", "error"])
def test_fail_on(text: str) -> None:
    assert parse_fail_on(text) == text


@pytest.mark.parametrize("text", ["", "ok", "skip", "unknown", "never", "ERROR"])
def test_fail_on_refuses(text: str) -> None:
    with pytest.raises(UsageError, match="--fail-on"):
        parse_fail_on(text)


def test_text() -> None:
    assert renderer("text")(FOUND).splitlines() == [
        "error   SET001  .env:3 NAME: is wrong",
        "        hint: mend it",
        "warning SET006  OTHER: is odd",
        "unknown SET009  x.env no such file",
        "1 error, 1 warning, 1 unknown",
    ]
    assert renderer("text")([]) == "ok\n"
    assert renderer("text")(of(Status.ERROR, Status.ERROR, Status.OK)).endswith("2 errors\n")


def test_short() -> None:
    assert renderer("short")(FOUND).splitlines() == [
        ".env:3: error SET001 NAME: is wrong",
        "warning SET006 OTHER: is odd",
        "x.env: unknown SET009 no such file",
    ]
    assert renderer("short")([]) == ""


findings = st.builds(
    Finding,
    code=st.from_regex(r"[A-Z]{3}[0-9]{3}", fullmatch=True),
    status=st.sampled_from(Status),
    message=st.text(),
    hint=st.text(),
    where=st.builds(
        Location, st.none() | st.text(min_size=1), st.none() | st.integers(1), st.none() | st.text()
    ),
)


@given(st.lists(findings, max_size=5))
def test_json_comes_back_whole(found: list[Finding]) -> None:
    document = json.loads(renderer("json")(found))
    assert document["schema_version"] == 1
    assert sum(document["summary"].values()) == len(found)
    back = [
        Finding(f["code"], Status(f["status"]), f["message"], f["hint"] or "", Location(**f["where"]))
        for f in document["findings"]
    ]
    assert back == found


@pytest.mark.parametrize(
    ("name", "hint"),
    [("jsn", "did you mean json?"), ("xml", "one of text, short, json, github, sarif, junit")],
)
def test_an_unknown_format_is_a_usage_error(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        renderer(name)
    assert caught.value.hint == hint


@pytest.mark.parametrize("name", RENDERERS)
def test_every_renderer_takes_nothing_and_everything(name: str) -> None:
    assert isinstance(RENDERERS[name]([]), str)
    assert "SET001" in RENDERERS[name](FOUND)
