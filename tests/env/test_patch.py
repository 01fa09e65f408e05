"""The unified diff and the mask in front of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exai_ops.env.masking import Mask, hidden, placeholder, printable
from exai_ops.env.matching import hunks
from exai_ops.env.model import Document
from exai_ops.env.patch import patch

from .documents import document, documents


def test_nothing_changed_is_nothing() -> None:
    assert patch(document("A=1\n"), document("A=1\n")) == ""


def test_it_is_a_unified_diff() -> None:
    before = document("A=1\nB=2\nC=3\nD=4\nE=5\nF=6\n")
    after = document("A=1\nB=2\nC=3\nD=4\nE=5\nG=7\nF=6\n")
    assert patch(before, after) == ("--- .env\n+++ .env\n@@ -3,4 +3,5 @@\n C=3\n D=4\n E=5\n+G=7\n F=6\n")


def test_what_the_eye_does_not_see_is_shown() -> None:
    shown = patch(document("\ufeffA=1\r\nB=2"), document("A=1\nB=2\n"))
    assert "-<BOM>A=1\\x0d\n" in shown
    assert "-B=2  (no newline at the end)\n" in shown


def test_secrets_are_masked_wherever_they_stand() -> None:
    before = document(
        "API_KEY='kestrel-9'  # kestrel-9\nX=kestrel-9\n# kestrel-9\nM=\"kestrel-9\n-9\"\nwhat kestrel-9\n"
    )
    other = document("DB_PASSWORD=osprey-7\n")
    after = document(before.text + "# osprey-7\nTOKEN='a\nb'\n")
    shown = patch(before, after, other)
    assert "kestrel" not in shown
    assert "osprey" not in shown
    assert "+TOKEN=***\n+***\n" in shown


@settings(max_examples=150, deadline=None)
@given(documents(), documents())
def test_it_shows_no_secret_and_each_changed_line(one: Document, two: Document) -> None:
    shown = patch(one, two)
    assert not any(secret in shown for secret in ("sk-Zt", "p4ssw0rd", "hunter"))
    assert (shown == "") == (one.text == two.text)


_lines = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", ""]), max_size=30)


@settings(max_examples=300, deadline=None)
@given(_lines, _lines)
def test_hunks_bring_the_old_lines_to_the_new(old: list[str], new: list[str]) -> None:
    made: list[str] = []
    done = 0
    for hunk in hunks(old, new):
        made += old[done : hunk[0][1]]
        for tag, i1, i2, j1, j2 in hunk:
            assert (old[i1:i2] == new[j1:j2]) == (tag == "equal")
            made += new[j1:j2]
            done = i2
        assert len(made) == hunk[-1][4]
        assert hunk[0][0] == "replace" or hunk[0][2] - hunk[0][1] <= 3
    assert made + old[done:] == new


def test_twenty_thousand_lines_with_every_other_one_changed() -> None:
    old = [f"line {n}" for n in range(20_000)]
    new = [f"{line} changed" if n % 2 else line for n, line in enumerate(old)]
    assert sum(tag == "replace" for hunk in hunks(old, new) for tag, *_ in hunk) == 10_000


COMMENTS = {
    "prose": ("# the token: see the docs below", "# the token: see the docs below"),
    "a rule": ("# " + "=" * 60, "# " + "=" * 60),
    "a path": ("# see docs/guides/TIMEOUT_GUIDE.md", "# see docs/guides/TIMEOUT_GUIDE.md"),
    "a password": ("# password: kestrel", "# password: ***"),
    "a key": ("# API_KEY=kestrel", "# API_KEY=***"),
    "a quoted key": ("# api_key = 'two words' # x", "# api_key = *** # x"),
    "a shape": ("# e.g. sk-Zt4kQ9vXw2Lp8sRb", "# e.g. ***"),
    "a project": ("# https://abcdefghijklmnopqrst.supabase.co", "# https://***.supabase.co"),
    "a URL": ("# redis://:x@host/0", "# ***"),
}


@pytest.mark.parametrize(("text", "expected"), COMMENTS.values(), ids=COMMENTS)
def test_comments(text: str, expected: str) -> None:
    assert Mask().comment(text) == expected


def test_a_placeholder_is_no_secret_for_its_own_key_alone() -> None:
    assert placeholder("REDIS_PASSWORD") == "your-redis-password-here"
    assert not hidden("REDIS_PASSWORD", "your-redis-password-here")
    assert hidden("API_KEY", "your-redis-password-here")


def test_an_environment_is_masked_too() -> None:
    assert Mask(environ={"MY_TOKEN": "kestrel"}).value("X", "a-kestrel") == "***"


def test_a_long_text_with_many_secrets_is_searched_in_one_pass() -> None:
    many = document("".join(f"K{n}_TOKEN=secret-value-{n:05}\n" for n in range(3000)))
    mask = Mask(many)
    assert "secret-value-02999" not in mask.comment("# " + "word " * 20000 + "secret-value-02999")


def test_what_a_terminal_obeys_is_spelled_out() -> None:
    assert printable("a\x1b[31m\r\u202e\udc80é\t") == "a\\x1b[31m\\x0d\\x202e\\x80é\t"
