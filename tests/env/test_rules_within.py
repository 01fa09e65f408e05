"""ENV101 to ENV116: a table of files and what is found; every rule has its clean case."""

from __future__ import annotations

from typing import Any

import pytest

from exai_ops.env.rules import seen, within
from exai_ops.findings import Status

from .cases import context, found, places

RULES = (*within.RULES, *seen.RULES)
BOTH = ("python-dotenv", "compose")


@pytest.mark.parametrize(
    ("code", "text", "there"),
    [
        ("ENV101", "A=1\n", []),
        ("ENV101", "\ufeffA=1\n", [("warning", 1, None)]),
        ("ENV102", "A=1\nB=2\n", []),
        ("ENV102", "A=1\r\nB=2\r\n", [("warning", 1, None)]),
        ("ENV102", "A=1\r\nB=2\n", []),
        ("ENV103", "A=1\r\nB=2\r\n", []),
        ("ENV103", "A=1\nB=2\r\nC=3\n", [("warning", 2, None)]),
        ("ENV103", "A=1\r\nB=2\r\nC='x\ny'\r\n", [("warning", 3, None)]),
        ("ENV104", "A=1  # why\nB=\nC=\n# why\n", []),
        ("ENV104", "A= # why\n", [("error", 1, "A")]),
        ("ENV104", "A=   # why\nB=1\nC=\t# why\n", [("error", 1, "A"), ("error", 3, "C")]),
        ("ENV104", "A='' # why\nB=\"\" # why\n", []),
        ("ENV104", "A= # why\nA=1\n", [("error", 1, "A")]),
        ("ENV105", "A=1\nB=1  # c\nC='x  '\n", []),
        ("ENV105", "A=1 \nB=1\t\r\nC=1  # c \n", [("info", 1, "A"), ("info", 2, "B"), ("info", 3, "C")]),
        ("ENV106", "A=\"x\"\nB='y'\nC=it's\n", []),
        ("ENV106", 'A=1\nB="x\n', [("error", 2, None)]),
        ("ENV106", "B='x\n", [("error", 1, None)]),
        ("ENV107", "A=1\nexport B=1\n\n# c\n", []),
        ("ENV107", "A=1\nwhat is this\n", [("error", 2, None)]),
        ("ENV107", "=1\n", [("error", 1, None)]),
        ("ENV108", "A=1\n_B2=1\n", []),
        (
            "ENV108",
            "A-B=1\nA.B=1\n1A=1\n",
            [("warning", 1, "A-B"), ("warning", 2, "A.B"), ("warning", 3, "1A")],
        ),
        ("ENV108", "lower=1\nmiXed=1\n", [("info", 1, "lower"), ("info", 2, "miXed")]),
        ("ENV109", "A=1\nB=${A}\nC=$D\n", [("warning", 3, "C")]),
        ("ENV109", "A=${NOPE}\n", [("warning", 1, "A")]),
        ("ENV109", "A=$NOPE\nB=x${NOPE}\n", [("warning", 1, "A")]),
        ("ENV109", "A=${SHELL_HAS_IT}\nB=${NOPE:-x}\n", []),
        ("ENV110", "A=\"${B}\"\nC='$B'\nB=1\n", []),
        ("ENV110", "B=1\nA='${B}'\n", [("warning", 2, "A")]),
        ("ENV111", "A=é\n", []),
        ("ENV112", "A=1\nB='x'\nC=\"y\"\nD=1 # c\n", []),
        ("ENV112", "A=1\nB=$A\n", [("warning", 2, "B")]),
        ("ENV112", "A= # why\nB='${A}'\n", []),
        ("ENV113", "A=1\n", []),
        ("ENV114", "A=1\nexport B=1\nC= # c\n", []),
        ("ENV114", "A =1\nB= 1\n C=1\n", [("info", 1, "A"), ("info", 2, "B"), ("info", 3, "C")]),
        ("ENV115", "A=1\n", []),
        ("ENV115", "", []),
        ("ENV115", "A=1\nB=2", [("info", 2, None)]),
        ("ENV115", "A=1\n# c", [("info", 2, None)]),
        ("ENV116", "A=\nB=1\n", []),
        ("ENV116", "A\nB=1\n", [("info", 1, "A")]),
    ],
)
def test_files(code: str, text: str, there: list[Any]) -> None:
    given = context(live=text, readers=BOTH, environ={"SHELL_HAS_IT": "1"})
    assert sorted(places(found(RULES, code, given)), key=str) == sorted(there, key=str)


def test_not_utf8() -> None:
    (finding,) = found(RULES, "ENV111", context(live=b"A=1\nB=caf\xe9\n"))
    assert (finding.status, finding.where.line) == (Status.ERROR, 2)


def test_every_file_is_looked_at_once() -> None:
    text = "A= # why\n"
    assert len(found(RULES, "ENV104", context(text, text))) == 2
    same = context(live=text)
    assert len(found(RULES, "ENV104", type(same)(live=same.live, main=same.live))) == 1


def test_who_takes_the_comment_is_said() -> None:
    (finding,) = found(RULES, "ENV104", context(live="A= # why\n", readers=BOTH))
    assert (
        finding.message == "A is empty with a comment behind it, and compose takes the comment for its value"
    )
    assert finding.hint == "put the comment on a line of its own above, and write A=; exai env fix does it"
    (finding,) = found(RULES, "ENV104", context(live="A= # why\n", readers=("python-dotenv",)))
    assert "Compose takes the comment" in finding.message


@pytest.mark.parametrize(
    ("text", "readers", "who"),
    [
        ("G= # hello\nG=x\n", BOTH, "compose takes"),
        ("G= # hello\nG=x\n", ("compose", "docker-run"), "compose and docker-run take"),
        ("G= # hello\n", ("compose", "systemd"), "compose and systemd take"),
    ],
)
def test_who_takes_the_comment_is_true_of_a_line_that_loses(
    text: str, readers: tuple[str, ...], who: str
) -> None:
    (finding,) = found(RULES, "ENV104", context(live=text, readers=readers))
    assert f", and {who} the comment for its value" in finding.message


def test_who_sees_what_is_said() -> None:
    (finding,) = found(RULES, "ENV112", context(live="A=1\nB=$A\n", readers=BOTH))
    assert finding.message == "B is '$A' for python-dotenv, '1' for compose"
    (finding,) = found(RULES, "ENV112", context(live="A=canary\nB_KEY=$A-x\n", readers=BOTH))
    assert "canary" not in finding.message
    assert finding.message == (
        "B_KEY is a value that is masked for python-dotenv, another value that is masked for compose"
    )


def test_one_reader_alone_cannot_differ() -> None:
    (skipped,) = found(RULES, "ENV112", context(live="A=1\n", readers=("compose",)))
    assert skipped.status is Status.SKIP


def test_python_dotenv_must_be_in_use_for_its_quotes() -> None:
    assert found(RULES, "ENV110", context(live="B=1\nA='${B}'\n", readers=("compose",))) == []


@pytest.mark.parametrize(
    ("text", "readers", "part"),
    [("A=${B:?gone}\n", BOTH, "compose"), ("A B=1\n", ("docker-run",), "docker-run")],
)
def test_a_refusal_is_said_once(text: str, readers: tuple[str, ...], part: str) -> None:
    found_ = [
        f
        for code in ("ENV106", "ENV107", "ENV113")
        for f in found(RULES, code, context(live=text, readers=readers))
    ]
    assert len(found_) == 1
    assert part in found_[0].message or found_[0].code == "ENV107"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("REDIS_PASSWORD=hunter$Zq7Xv9Kw\n", False),
        ("URL=redis://:hunter$Zq7Xv9Kw@redis:6379/0\n", False),
        ("REDIS_PASSWORD=${Zq7Xv9Kw}\n", True),
        ("LEVEL=$Zq7Xv9Kw\n", True),
    ],
)
def test_a_dollar_in_a_secret_names_no_variable(text: str, named: bool) -> None:
    """What stands behind it is a piece of the secret, not a name to be shown."""
    (finding,) = found(RULES, "ENV109", context(live=text, readers=BOTH))
    assert ("Zq7Xv9Kw" in f"{finding.message} {finding.hint}") is named


def test_a_refusal_is_at_its_line_with_its_key() -> None:
    (finding,) = found(RULES, "ENV113", context(live="A=1\nD='it's'\n"))
    assert (finding.where.line, finding.where.name) == (2, "D")


@pytest.mark.parametrize(
    ("text", "reader", "said"),
    [
        ("A=1  \n", "compose-raw", "take it out: Compose with format: raw"),
        ("A=1  \n", "docker-run", "take it out: docker run"),
        ("A=1\t\n", "node", "take it out: Node"),
        ("A=1  \n", "node", "run exai env fix"),
        ("A='1'\t\n", "node", "run exai env fix"),
        ("A=1  \n", "compose", "run exai env fix"),
    ],
)
def test_space_that_a_reader_in_use_keeps_is_a_warning(text: str, reader: str, said: str) -> None:
    (found_,) = found(RULES, "ENV105", context(live=text, readers=(reader,)))
    assert found_.hint.startswith(said)
    assert found_.status == (Status.WARNING if said.startswith("take") else Status.INFO)


def test_a_line_end_within_quotes_is_not_sent_to_fix() -> None:
    (found_,) = found(RULES, "ENV103", context(live="A='x\r\ny'\nB=1\n"))
    assert "fix" not in found_.hint
