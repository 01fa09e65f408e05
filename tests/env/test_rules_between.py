"""ENV001 to ENV011: a table of pairs of files and what is found; every rule has its clean case."""

from __future__ import annotations

from typing import Any

import pytest

from exai_ops.env.rules import between, layout
from exai_ops.findings import Status
from exai_ops.settings.variable import Variable

from .cases import EXAMPLE, LIVE, context, found, places

RULES = (*between.RULES, *layout.RULES)
HEAD = "# ====\n# {}\n# ====\n"
KNOWN = Variable(name="KNOWN", field="known", kind="int", default=30, section="s", comment="c")


def sections(**keys: str) -> str:
    """A file with a section for each name, with these keys."""
    return "".join(
        HEAD.format(name) + "".join(f"{key}=1\n" for key in said) + "\n" for name, said in keys.items()
    )


@pytest.mark.parametrize(
    ("code", "example", "live", "there"),
    [
        ("ENV001", "A=1\nB=2\n", "B=2\nA=1\n", []),
        ("ENV001", "A=1\nB=2\n", "A=1\n", [("warning", 2, "B")]),
        ("ENV001", "A=1\nKNOWN=30\n", "A=1\n", [("info", 2, "KNOWN")]),
        ("ENV001", "A=1\n", "# A=1\n", [("info", 1, "A")]),
        ("ENV001", "A=1\nA=2\n", "B=1\n", [("warning", 2, "A")]),
        ("ENV001", "export A=1\n", "A=1\n", []),
        ("ENV002", "A=1\n", "A=2\n", []),
        ("ENV002", "A=1\n", "A=1\nB=2\n", [("warning", 2, "B")]),
        ("ENV002", "# B=1  # off by default\n", "B=2\n", [("info", 1, "B")]),
        ("ENV002", "# see B=1\n", "B=2\n", [("warning", 1, "B")]),
        ("ENV003", "A=1\nB=1\n", "A=1\n", []),
        ("ENV003", "A=1\nA=2\n", "", [("warning", 2, "A")]),
        ("ENV003", "A=1\nB=1\nA=1\n", "A=1\n", [("info", 3, "A")]),
        ("ENV003", "A=1\nA=2\nA=3\n", "A=1\nA=2\n", [("warning", 3, "A"), ("warning", 2, "A")]),
        ("ENV003", "A=1\nA=\n", "", []),
        ("ENV004", "A=1\nA=2\n", "A=\n", []),
        ("ENV004", "A=\nA=\n", "", []),
        ("ENV004", "A=1\nA=\n", "", [("error", 2, "A")]),
        ("ENV004", "A=1\nA=  # none\n", "", [("error", 2, "A")]),
        ("ENV004", "A=1\nA=''\n", "", [("error", 2, "A")]),
        ("ENV004", "A=\nA=1\n", "", []),
        ("ENV005", "A=1\n", "A=1\n", []),
        ("ENV005", "A=1\n", "A='1'  # the same\n", []),
        ("ENV005", "A=45\n", "A=30\n", [("warning", 1, "A")]),
        ("ENV005", "A=45\n", "A=\n", [("warning", 1, "A")]),
        ("ENV005", "A=\nB=your_b\nMY_KEY=1\nA_HOST=1\n", "A=1\nB=2\nMY_KEY=2\nA_HOST=2\n", []),
        ("ENV005", "A=1\nA=2\n", "A=2\n", []),
        ("ENV005", "FREE_A=1\n", "FREE_A=2\n", []),
        ("ENV006", sections(one="AB", two="CD"), sections(one="AB", two="CD"), []),
        ("ENV006", sections(one="ABX", two="CD"), sections(one="AB", two="CDX"), [("info", 6, "X")]),
        ("ENV006", "X=1\n" + sections(one="A"), sections(one="AX"), [("info", 1, "X")]),
        ("ENV006", sections(one="ABC"), sections(uno="ABC"), []),
        ("ENV006", sections(one="ABC"), sections(uno="ABC", dos="D"), []),
        ("ENV006", sections(one="A", two="A"), sections(two="A"), []),
        ("ENV007", "A=1\nB=1\nC=1\n", "A=1\nX=1\nB=1\nC=1\n", []),
        ("ENV007", "A=1\nB=1\nC=1\n", "C=1\nA=1\nB=1\n", [("info", 3, "C")]),
        ("ENV007", "C=1\nA=1\nB=1\n", "A=1\nB=1\nC=1\n", [("info", 1, "C")]),
        ("ENV007", sections(one="AB", two="CD"), sections(two="CD", one="AB"), []),
        ("ENV007", sections(one="ABX", two="C"), sections(one="BA", two="XC"), [("info", 4, "A")]),
        ("ENV008", sections(one="A"), sections(one="B"), []),
        ("ENV008", sections(one="A", two="B"), sections(one="A"), [("info", 7, None)]),
        ("ENV008", sections(one="A"), sections(one="A", two="B"), [("info", 7, None)]),
        ("ENV008", sections(one="ABC"), sections(uno="ABC"), [("info", 2, None)]),
        ("ENV008", sections(one="A"), sections(uno="ABCDE"), [("info", 2, None), ("info", 2, None)]),
        ("ENV009", "# why\nA=1\n", "# why\nA=1\n", []),
        ("ENV009", "# why\nA=1\n", "A=1\n", [("info", 2, "A")]),
        ("ENV009", "A=1\n", "A=1  # why\n", [("info", 1, "A")]),
        ("ENV009", "A=1  # why\n", "# why so\nA=1\n", [("info", 1, "A")]),
        ("ENV009", "# why\nA=1\n", "# because\nA=1\n", []),
        ("ENV009", "# why\nB=1\nA=1\n", "A=1\n", []),
        ("ENV009", "# alone\n\nA=1\n", "A=1\n", [("info", 1, None)]),
        ("ENV009", "A=1\n", "A=1\n\n# one\n# two\n", [("info", 3, None)]),
        ("ENV009", "# one\n\nA=1\n", "# one\nA=1\n", [("info", 2, "A")]),
        ("ENV009", "# exai:ignore[ENV001] why\nA=1  # exai:ignore[ENV005] why\n", "A=1\n", []),
        ("ENV009", "# OFF=1\n\nA=1\n", "A=1\n", []),
        ("ENV010", "# why\nA=1  # so\n", "#   why\nA=1 #so\n", []),
        ("ENV010", "# why\nA=1\n", "A=1  # why\n", []),
        ("ENV009", "# why\nA=1\n", "A=1  # why\n", []),
        ("ENV010", "# why\n# so\nA=1\n", "# so\nA=1  # because\n", [("info", 3, "A")]),
        ("ENV010", "# why\nA=1\n", "# because\nA=1\n", [("info", 2, "A")]),
        ("ENV010", "# why\nA=1  # 30 s\n", "# because\nA=1  # 45 s\n", [("info", 2, "A")]),
        ("ENV010", "# why\nA=1  # 30 s\n", "A=1  # 45 s\n", [("info", 2, "A")]),
        ("ENV010", "# why\nA=1\n", "A=1\n", []),
        ("ENV010", "# one\n# two\n\nA=1\n", "# one\n# zwei\n\nA=1\n", [("info", 2, None)]),
        ("ENV010", "A=1  # 30 s  # exai:ignore[ENV005] why\n", "A=1  # 30 s\n", []),
        ("ENV011", sections(one="A", two="B", three="C"), sections(one="A", two="B", three="C"), []),
        ("ENV011", sections(one="A", two="B", three="C"), sections(three="C", one="A", two="B"),
         [("info", 12, None)]),
        ("ENV011", sections(one="A", two="B"), sections(two="B", x="C", one="A"), [("info", 2, None)]),
    ],
)  # fmt: skip
def test_pairs(code: str, example: str, live: str, there: list[Any]) -> None:
    given = context(example, live, differ=("FREE_*",), variables={"KNOWN": KNOWN})
    assert sorted(places(found(RULES, code, given)), key=str) == sorted(there, key=str)


@pytest.mark.parametrize(
    "rule", [r for r in RULES if r.code not in {"ENV003", "ENV004"}], ids=lambda r: r.code
)
def test_one_file_alone_is_skipped_with_the_reason(rule: Any) -> None:
    for given in (context("A=1\n"), context(live="A=1\n"), context()):
        (skipped,) = found(RULES, rule.code, given)
        assert (skipped.status, skipped.message) == (Status.SKIP, between.PAIR)


@pytest.mark.parametrize(
    ("code", "example", "live", "message", "hint"),
    [
        ("ENV001", "A=1\n", "", f"A is not in {LIVE}", f"add to {LIVE}: A=1"),
        ("ENV001", "API_KEY=hunter2\n", "", f"API_KEY is not in {LIVE}", f"add to {LIVE}: API_KEY=..."),
        (
            "ENV003",
            "A=1\nA=2\n",
            "",
            "A is assigned at lines 1 and 2; line 2 wins for python-dotenv and compose",
            "take out line 1, or the last one if that is not what you mean",
        ),
        (
            "ENV004",
            "A=1\nA=\n",
            "",
            "A is set at line 1 and emptied here; line 2 wins for python-dotenv and compose",
            "take out line 2",
        ),
        (
            "ENV005",
            "A=45\n",
            "\nA=30\n",
            f"A is '45' here and '30' in {LIVE}:2",
            'write A=30 here if .env.docker is right, else mend that; or list "A" in [tool.exai] differ',
        ),
        (
            "ENV007",
            "A=1\nB=1\nC=1\n",
            "C=1\nA=1\nB=1\n",
            f"C stands before A in {LIVE}:1",
            "decide which file is right, and mend the other by hand",
        ),
    ],
)
def test_what_is_said(code: str, example: str, live: str, message: str, hint: str) -> None:
    (finding,) = found(RULES, code, context(example, live))
    assert (finding.message, finding.hint) == (message, hint)


def test_values_of_secrets_are_never_said() -> None:
    example = (
        "SESSION_TOKEN=canary1\nNOTE=sk-canary2\nURL=redis://:canary3@h\nNOTE=sk-canary2\n# sk-canary4\n\n"
    )
    live = (
        "SESSION_TOKEN=canary5\nNOTE=sk-canary6\nURL=redis://:canary7@h\n# eyJcanary8\nZ=1\n# sk-canary9\n\n"
    )
    for rule in RULES:
        for finding in found(RULES, rule.code, context(example, live)):
            assert "canary" not in f"{finding.message} {finding.hint} {finding.where}"


def test_files_are_named() -> None:
    (one,) = found(RULES, "ENV001", context("A=1\n", ""))
    (two,) = found(RULES, "ENV002", context("", "A=1\n"))
    assert (one.where.file, two.where.file) == (EXAMPLE, LIVE)
