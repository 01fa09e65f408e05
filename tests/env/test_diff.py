"""``compare``: every kind of difference, the fewest moves, and no secret in the words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from exai_ops.env.diff import as_json, as_text, compare, compare_readings
from exai_ops.env.masking import Mask
from exai_ops.env.model import Document, Reading

from .documents import document, documents

ONE, TWO = "# ===\n# ONE\n# ===\n", "# ===\n# TWO\n# ===\n"
TABLE = {
    "the same": ("A=1\n", "A=1\n", []),
    "other quotes, spaces, line ends": ("A=1\nB=\n", "\ufeffA = '1'\r\n\r\nB=\r\n", []),
    "added": ("A=1\n", "A=1\nB=2\n", ["+ B added (line 2): '2'"]),
    "removed": ("A=1\nB=2\n", "A=1\n", ["- B removed (line 2): '2'"]),
    "switched on": ("# B=2\n\nA=1\n", "\nA=1\nB=2\n", ["+ B switched-on (line 1 -> line 3): '2'"]),
    "switched off": ("A=1\n\nB=2\n", "A=1\n\n# B=3\n", ["- B switched-off (line 3 -> line 3): '2'"]),
    "changed": ("A=1\n", "A=2\n", ["~ A changed (line 1 -> line 1): '1', then '2'"]),
    "emptied": ("A=1\n", "A=\n", ["~ A changed (line 1 -> line 1): '1', then nothing"]),
    "bare": ("A=\n", "A\n", ["~ A changed (line 1 -> line 1): with = on one side, a bare key on the other"]),
    "again": ("A=1\n", "A=1\nA=1\n", ["~ A changed (line 1 -> line 2): assigned once, then twice"]),
    "the last counts": ("A=0\nA=1\n", "A=2\nA=1\n", []),
    "a secret": ("API_KEY=kestrel\n", "API_KEY=owl\n",
                 ["~ API_KEY changed (line 1 -> line 1): another secret"]),
    "a secret where none was": ("API_KEY=\n", "API_KEY=kestrel\n",
                                ["~ API_KEY changed (line 1 -> line 1): nothing, then ***"]),
    "a secret under another name": ("API_KEY=kestrel\nX=1\n", "API_KEY=kestrel\nX=kestrel\n",
                                    ["~ X changed (line 2 -> line 2): '1', then ***"]),
    "another section": (f"{ONE}A=1\nB=2\n{TWO}C=3\n", f"{ONE}A=1\n{TWO}C=3\nB=2\n",
                        ["> B moved (line 5 -> line 9): from 'ONE' to 'TWO'"]),
    "a section renamed": (f"{ONE}A=1\nB=2\n", f"{TWO}A=1\nB=2\n", []),
    "one move, not three": ("A=\nB=\nC=\nD=\n", "B=\nC=\nD=\nA=\n",
                            ["> A moved (line 1 -> line 4): now below D"]),
    "to the top": ("A=\nB=\nC=\n", "C=\nA=\nB=\n", ["> C moved (line 3 -> line 1): now first"]),
    "comments": ("# x\nA=1 # y\n", "# z\nA=1 # w\n",
                 ["# A comment (line 2 -> line 2): the comment above and behind it is another"]),
    "suppressions": ("# exai:ignore[ENV005] x\nA=1\n", "A=1 # exai:ignore[ENV005] x\n", []),
    "space in comments": ("#x  y\nA=1 #y\n", "#  x y\nA=1   # y\n", []),
}  # fmt: skip


def differences(first: Document, second: Document) -> list[str]:
    return as_text(compare(first, second, Mask(first, second))).splitlines()


@pytest.mark.parametrize(("first", "second", "expected"), TABLE.values(), ids=TABLE)
def test_every_kind(first: str, second: str, expected: list[str]) -> None:
    assert differences(document(first), document(second)) == expected


@settings(max_examples=100, deadline=None)
@given(documents())
def test_a_file_is_as_itself(one: Document) -> None:
    assert compare(one, one, Mask(one)) == []


@settings(max_examples=150, deadline=None)
@given(documents(), documents())
def test_the_other_way_round_is_the_mirror_image_and_shows_no_secret(one: Document, two: Document) -> None:
    there, back = compare(one, two, Mask(one, two)), compare(two, one, Mask(one, two))
    mirror = {
        "added": "removed",
        "removed": "added",
        "switched-on": "switched-off",
        "switched-off": "switched-on",
    }
    kinds = sorted((mirror.get(d.kind, d.kind), d.key) for d in there if d.kind != "moved")
    assert kinds == sorted((d.kind, d.key) for d in back if d.kind != "moved")
    text = as_text(there) + as_json("a", "b", there)
    assert not any(secret in text for secret in ("sk-Zt", "p4ssw0rd", "hunter"))


def test_as_a_reader_sees_them() -> None:
    one = Reading(reader="compose", values={"A": "1", "B": "# c", "C": "x"}, lines={"A": 1, "B": 2, "C": 3})
    two = Reading(reader="compose", values={"A": "2", "B": "", "D": "y"}, lines={"A": 1, "B": 2, "D": 3})
    found = as_text(compare_readings(one, two, Mask())).splitlines()
    assert found == [
        "~ A changed (line 1 -> line 1): '1', then '2'",
        "~ B changed (line 2 -> line 2): '# c', then nothing",
        "+ D added (line 3): 'y'",
        "- C removed (line 3): 'x'",
    ]


def test_json_says_the_same() -> None:
    one, two = document("A=1\n"), document("A=2\n")
    found = json.loads(as_json(".env", ".env.docker", compare(one, two, Mask(one, two))))
    assert found["schema_version"] == 1
    assert (found["first"], found["second"]) == (".env", ".env.docker")
    assert found["differences"] == [
        {"kind": "changed", "key": "A", "before": 1, "after": 1, "detail": "'1', then '2'"}
    ]
