"""``sync``: what comes in, where, in which shape, and that nothing else changes."""

from __future__ import annotations

from collections import Counter
from textwrap import dedent

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exai_ops.env.document import parse
from exai_ops.env.masking import Mask
from exai_ops.env.model import Blank, Document
from exai_ops.env.publish import Policy
from exai_ops.env.readers import READERS
from exai_ops.env.sections import sections
from exai_ops.env.sync import Synced, sync
from exai_ops.errors import CouldNotLook
from exai_ops.settings import VARIABLES

from .by_hand import DATA
from .documents import comments, document, documents

KNOWN = {name: variable for variable in VARIABLES for name in variable.names}
POLICY = Policy(public=("A", "B", "PUBLIC_*"), differ=("MAY_*",), variables=KNOWN)


def synced(live: str, example: str, *, prune: bool = False) -> str:
    return _sync(live, example, prune=prune).document.text


def reversed_(example: str, live: str) -> Synced:
    return sync(document(dedent(example)), document(dedent(live)), POLICY, reverse=True)


def _sync(live: str, example: str, *, prune: bool = False) -> Synced:
    return sync(
        document(dedent(live), ".env"), document(dedent(example), ".env.example"), POLICY, prune=prune
    )


BANNER = "# ====\n# {}\n# ====\n"
TWO = BANNER.format("TWO")
PLACES = {
    "nothing to do": ("A=1\n", "A=1\n", "A=1\n"),
    "the example is empty": ("A=1\nB=2\n", "", "A=1\nB=2\n"),
    "behind the key above it": ("A=1\nB=2\nC=\n", "A=1\nC=\n", "A=1\nB=2\nC=\n"),
    "before the key below it": ("A=1\nC=\n", "C=\n", "A=1\nC=\n"),
    "before that key's comment": ("A=1\nC=\n", "# about C\nC=\n", "A=1\n# about C\nC=\n"),
    "keys in a row": ("C=\nA=1\nB=2\n", "C=\n", "C=\nA=1\nB=2\n"),
    "with the comment above": ("C=\n# why\n# so\nA=1\n", "C=\n", "C=\n# why\n# so\nA=1\n"),
    "without a comment that is there": ("C=\n# why\nA=1\n", "# why\nC=\n", "# why\nC=\nA=1\n"),
    "a group of its own": ("C=\n\n# why\nA=1\n\nD=\n", "C=\nD=\n", "C=\n\n# why\nA=1\n\nD=\n"),
    "below its switched-off self": ("A=1\nC=\n", "C=\n# A=0  # off\n", "C=\n# A=0  # off\nA=1\n"),
    "the last of several": ("C=\nA=1\nA=2\n", "C=\n", "C=\nA=2\n"),
    "the file has no last line end": ("C=\nA=1\n", "C=", "C=\nA=1\n"),
    "CR LF": ("C=\n# why\nA=1\n", "C=\r\n", "C=\r\n# why\r\nA=1\r\n"),
    "the byte order mark stays": ("A=1\n", "\ufeff# c\n", "\ufeff# c\n\nA=1\n"),
    "none comes": ("\ufeffA=1\n", "C=\n", "C=\nA=1\n"),
    "export stays": ("C=\nexport A=1\n", "C=\n", "C=\nexport A=1\n"),
    "a bare key stays bare": ("C=\nA\n", "C=\n", "C=\nA\n"),
    "spaces and colons do not come": ("C=\nA : 1\n", "C=\n", "C=\nA=1\n"),
    "quotes come": ("C=\nA='x y'  # c\n", "C=\n", "C=\nA='x y'  # c\n"),
    "several lines come": ("C=\nA='x\ny'\n", "C=\r\n", "C=\r\nA='x\r\ny'\r\n"),
    "a comment behind nothing goes above": ("C=\nA=  # why\n", "C=\n", "C=\n# why\nA=\n"),
    "what is suppressed is so in its file": (
        "C=\n# exai:ignore[ENV114] why\nA=1  # exai:ignore[ENV005] why\n",
        "C=\n",
        "C=\nA=1\n",
    ),
    "a section by its title": (
        f"{BANNER.format('ONE')}C=\nA=1\n\n{BANNER.format('TWO')}D=\nB=2\n",
        f"{BANNER.format('TWO')}D=\n\n{BANNER.format('ONE')}C=\n",
        f"{BANNER.format('TWO')}D=\nB=2\n\n{BANNER.format('ONE')}C=\nA=1\n",
    ),
    "a section without keys": (
        f"{BANNER.format('ONE')}A=1\n",
        f"{BANNER.format('ONE')}\n{BANNER.format('TWO')}D=\n",
        f"{BANNER.format('ONE')}A=1\n\n{BANNER.format('TWO')}D=\n",
    ),
    "a section that is new": (
        f"C=\n\n{BANNER.format('NEW')}# what it is\n\nA=1\nB=2\n\n{BANNER.format('END')}D=\n",
        f"C=\n\n{BANNER.format('END')}D=\n",
        f"C=\n\n{BANNER.format('NEW')}# what it is\nA=1\nB=2\n\n{BANNER.format('END')}D=\n",
    ),
    "a section with another title": (
        f"{BANNER.format('CACHE')}C=\nD=\nA=1\n",
        f"{BANNER.format('STORE')}C=\nD=\n",
        f"{BANNER.format('STORE')}C=\nD=\nA=1\n",
    ),
    "behind the neighbour where the live file has no sections": (
        "C=1\nA=1\nD=2\n",
        f"# What it is\n\n{BANNER.format('ONE')}C=1\nD=2\n",
        f"# What it is\n\n{BANNER.format('ONE')}C=1\nA=1\nD=2\n",
    ),
    "below the title of the file where there is no neighbour": (
        "A=1\n",
        f"{BANNER.format('TITLE')}# more\n\n{BANNER.format('ONE')}D=\n",
        f"{BANNER.format('TITLE')}# more\n\nA=1\n\n{BANNER.format('ONE')}D=\n",
    ),
    "a section below the title of the file": (
        f"{BANNER.format('NEW')}A=1\n\n{BANNER.format('ONE')}D=\n",
        f"C=\n\n{BANNER.format('ONE')}D=\n",
        f"C=\n\n{BANNER.format('NEW')}A=1\n\n{BANNER.format('ONE')}D=\n",
    ),
    "the title of the file does not come": (
        f"{BANNER.format('OTHER TITLE')}# of the other\nC=1\nA=1\n\n{BANNER.format('TWO')}B=2\n",
        f"{BANNER.format('TITLE')}# more\n\n{BANNER.format('ONE')}C=1\nE=\n\n{BANNER.format('TWO')}D=\n",
        f"{BANNER.format('TITLE')}# more\n\n{BANNER.format('ONE')}C=1\nA=1\n\nE=\n\n{TWO}D=\nB=2\n",
    ),
    "the neighbour stands in another section": (
        f"{BANNER.format('ONE')}C=\nA=1\nD=\n{BANNER.format('TWO')}E=\n",
        f"{BANNER.format('ONE')}F=\n\n{BANNER.format('TWO')}E=\nC=\n",
        f"{BANNER.format('ONE')}F=\nA=1\nD=\n\n{BANNER.format('TWO')}E=\nC=\n",
    ),
}


@pytest.mark.parametrize(("live", "example", "expected"), PLACES.values(), ids=PLACES)
def test_a_missing_key_comes_in_where_the_live_file_has_it(live: str, example: str, expected: str) -> None:
    assert synced(live, example) == expected


VALUES = {
    "listed": ("PUBLIC_NAME=kestrel\n", "PUBLIC_NAME=kestrel\n"),
    "not listed": ("NAME=kestrel\n", "NAME=your-name-here\n"),
    "empty": ("NAME=\n", "NAME=\n"),
    "a switch": ("NAME=true\n", "NAME=true\n"),
    "a measure": ("POOL_SIZE=12\n", "POOL_SIZE=12\n"),
    "a number behind the name of a secret": ("DB_PASSWORD_2=48151623\nDB_PASS_PROD=4815\n",
                                             "DB_PASSWORD_2=your-db-password-2-here\nDB_PASS_PROD=your-db-pass-prod-here\n"),
    "how many secrets, which may be one": ("OTP_SECRET_COUNT=48151623\n",
                                           "OTP_SECRET_COUNT=your-otp-secret-count-here\n"),
    "how long a secret lasts": ("JWT_SECRET_TTL=3600\n", "JWT_SECRET_TTL=3600\n"),
    "the number of a database": ("REDIS_DB=3\n", "REDIS_DB=3\n"),
    "no number of a database": ("DB_ROOT=48151623\nMY_DB=4815\n",
                                "DB_ROOT=your-db-root-here\nMY_DB=your-my-db-here\n"),
    "a number of another kind": ("LOGIN=483920\n", "LOGIN=your-login-here\n"),
    "everybody's address": ("BIND=0.0.0.0\n", "BIND=0.0.0.0\n"),
    "a setting": ("EXAI_WS_HOST=daemon\n", "EXAI_WS_HOST=daemon\n"),
    "a secret setting": ("EXAI_WS_TOKEN=kestrel\n", "EXAI_WS_TOKEN=your-exai-ws-token-here\n"),
    "named like a secret": ("DB_PASSWORD=true\n", "DB_PASSWORD=your-db-password-here\n"),
    "a pattern does not open secrets": ("PUBLIC_TOKEN=kestrel\n", "PUBLIC_TOKEN=your-public-token-here\n"),
    "nor what looks like one": ("PUBLIC_X=sk-Zt4kQ9vXw2\n", "PUBLIC_X=your-public-x-here\n"),
    "nor what holds one": ("DB_PASSWORD=kestrel\nPUBLIC_X=a-kestrel-b\n",
                           "DB_PASSWORD=your-db-password-here\nPUBLIC_X=your-public-x-here\n"),
    "a comment behind a placeholder": ("NAME=kestrel  # who\n", "NAME=your-name-here  # who\n"),
    "a secret behind a value": ("DB_PASSWORD=kestrel\nA=1  # kestrel, not 2\n",
                                "DB_PASSWORD=your-db-password-here\nA=1  # ***, not 2\n"),
    "a secret above a value": ("# was sk-Zt4kQ9vXw2Lp8sRb\nA=1\n", "# was ***\nA=1\n"),
    "a password said above": ("# password: kestrel\nA=1\n", "# password: ***\nA=1\n"),
    "a switched-off assignment above": ("# NAME=kestrel # x\nA=1\n", "# NAME=***\nA=1\n"),
    "a password of a URL above": ("REDIS_URL=redis://:kestrel@redis/0\n# kestrel\nA=1\n",
                                  "REDIS_URL=your-redis-url-here\n# ***\nA=1\n"),
    "a password of a URL, decoded": ("REDIS_URL=redis://:kes%24trel@redis/0\n# kes$trel\nA=1\n",
                                     "REDIS_URL=your-redis-url-here\n# ***\nA=1\n"),
    "behind a closing quote": ("POOL_SIZE='8'kestrel\n", "POOL_SIZE=your-pool-size-here\n"),
    "a placeholder may hide a secret": ("DB_PASSWORD=your-kestrel\n", "DB_PASSWORD=your-db-password-here\n"),
}  # fmt: skip


@pytest.mark.parametrize(("live", "expected"), VALUES.values(), ids=VALUES)
def test_only_public_values_come(live: str, expected: str) -> None:
    assert synced(live, "") == expected


CHANGES = {
    "a public value": ("A=2\n", "A=1  # c\n", "A=2  # c\n"),
    "a setting": ("EXAI_WS_PING_INTERVAL=30\n", "EXAI_WS_PING_INTERVAL=45\n", "EXAI_WS_PING_INTERVAL=30\n"),
    "a private value": ("NAME=kestrel\n", "NAME=owl\n", "NAME=owl\n"),
    "a secret": ("API_KEY=sk-Zt4kQ9vXw2Lp8sRb\n", "API_KEY=\n", "API_KEY=\n"),
    "a secret that the example holds": (
        "API_KEY=sk-Zt4kQ9vXw2Lp8sRb\n",
        "API_KEY=sk-Zt4kQ9vXw2Lp8sRb # c\n",
        "API_KEY=your-api-key-here # c\n",
    ),
    "nothing takes no value away": ("A=\n", "A=1\n", "A=1\n"),
    "what may differ": ("MAY_SIZE=1\n", "MAY_SIZE=2\n", "MAY_SIZE=2\n"),
    "a host": ("EXAI_WS_HOST=0.0.0.0\n", "EXAI_WS_HOST=127.0.0.1\n", "EXAI_WS_HOST=127.0.0.1\n"),
    "the example's quotes": ("A=2\n", 'A="1"  # c\n', 'A="2"  # c\n'),
    "quotes that are not needed": ("A='2'\n", "A=1\n", "A=2\n"),
    "quotes that are needed": ("A='x y'\n", "A=1\n", "A='x y'\n"),
    "quotes alone are no change": ("A='1'\n", 'A="1"\n', 'A="1"\n'),
    "the one that wins": ("A=3\n", "A=1\nA=2\n", "A=1\nA=3\n"),
    "spaces and export stay": ("A=2\n", "export A = 1\n", "export A = 2\n"),
    "into nothing with a comment behind": ("A=2\n", "A=  # c\n", "A=2  # c\n"),
}


@pytest.mark.parametrize(("live", "example", "expected"), CHANGES.values(), ids=CHANGES)
def test_public_values_are_followed_in_the_shape_of_the_example(
    live: str, example: str, expected: str
) -> None:
    assert synced(live, example) == expected


def test_a_placeholder_where_a_value_listed_by_name_was_is_followed() -> None:
    policy = Policy(public=("SITE_KEY",))
    done = sync(document("SITE_KEY=k1\n"), document("SITE_KEY=your-site-key-here\n"), policy)
    assert done.document.text == "SITE_KEY=k1\n"


REVERSE = {
    "the example's value": ("A=1\nB=x  # c\n", "A=9\n", "A=9\nB=x  # c\n"),
    "a placeholder is marked": ("A=\nT=your-t-here\n", "A=9\n", "A=9\n# fill in: T\nT=your-t-here\n"),
    "an empty secret is marked": ("A=1\nAPI_KEY=\n", "A=9\n", "A=9\n# fill in: API_KEY\nAPI_KEY=\n"),
    "an empty option is not": ("A=1\nB=\n", "A=9\n", "A=9\nB=\n"),
    "a live value stays": ("API_KEY=your-key-here\n", "API_KEY=kestrel\n", "API_KEY=kestrel\n"),
    "an empty live value too": ("A=1\n", "A=\n", "A=\n"),
    "comments come as they are": ("A=1\n# e.g. sk-Zt4kQ9vXw2Lp8sRb\nB=1\n", "A=9\n",
                                  "A=9\n# e.g. sk-Zt4kQ9vXw2Lp8sRb\nB=1\n"),
    "a comment behind nothing goes above": ("A=1\nB=  # c\n", "A=9\n", "A=9\n# c\nB=\n"),
}  # fmt: skip


@pytest.mark.parametrize(("example", "live", "expected"), REVERSE.values(), ids=REVERSE)
def test_reverse_adds_and_touches_no_live_value(example: str, live: str, expected: str) -> None:
    assert reversed_(example, live).document.text == expected


def test_what_was_done_is_told_by_key() -> None:
    done = _sync("A=2\nNAME=kestrel\nPORT=1\nAPI_KEY=x\n", "A=1\nOLD=1\n", prune=True)
    assert done.added == ("NAME", "PORT", "API_KEY")
    assert (done.changed, done.removed, done.fill) == (("A",), ("OLD",), ("NAME",))


def test_prune_takes_out_exactly_the_keys_that_the_live_file_lacks() -> None:
    example = "# old\nOLD=1\nA=1\n\nOLD=2\n# end\n"
    assert synced("A=1\n", example, prune=True) == "# old\nA=1\n\n# end\n"
    assert synced("A=1\n", example) == example


def test_a_piece_of_a_secret_is_taken_for_no_key() -> None:
    live = document("PEM=\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC=\nnot a line\n")
    done = sync(live, document(""), POLICY)
    assert (done.document.text, done.passed) == ("PEM=\n", (2, 3))


@pytest.mark.parametrize("ending", ["J=\\", "J=\\\n", "J=\\\n\n", "J=x\\\\\n"])
@pytest.mark.parametrize("reader", READERS)
def test_a_line_that_a_backslash_continues_swallows_nothing(ending: str, reader: str) -> None:
    done = reversed_("J=1\nK=1\n", ending)
    assert READERS[reader](done.document.data, {}).values["K"] == "1"


def test_nothing_comes_between_a_line_and_the_one_that_continues_it() -> None:
    with pytest.raises(CouldNotLook, match="1: ends in a backslash"):
        sync(document("J=1\nK=1\nL=1\n"), document("J=a\\\nL=1\n"), POLICY, reverse=True)


def test_an_open_quote_that_would_swallow_keys_is_refused() -> None:
    live, example = document("C=\nA=1 # it'\n"), document("D='open\nC=\n", ".env.example")
    with pytest.raises(CouldNotLook, match=r"^\.env\.example:1: a quote that never ends"):
        sync(live, example, Policy(public=("A",)))


@settings(max_examples=150, deadline=None)
@given(documents(), documents(".env.example"))
def test_it_is_idempotent_and_loses_nothing(live: Document, example: Document) -> None:
    done = _or_refused(live, example)
    assert set(done.document.index) == set(example.index) | set(live.index)
    assert not Counter(comments(example)) - Counter(comments(done.document))
    assert _blanks(done.document) >= _blanks(example)
    assert {s.title for s in sections(example)} <= {s.title for s in sections(done.document)}
    assert done.document.bom == example.bom
    assert [a.key for a in done.document.assignments if a.key in example.index] == [
        a.key for a in example.assignments
    ]
    assert sync(live, done.document, POLICY).document.text == done.document.text


@settings(max_examples=100, deadline=None)
@given(documents(), documents(".env.example"), st.booleans(), st.booleans())
def test_what_somebody_decided_to_leave_stays(
    source: Document, target: Document, reverse: bool, prune: bool
) -> None:
    done = sync(source, target, POLICY, reverse=reverse, prune=prune, decided=lambda *_: True)
    assert done.document.data == target.data
    assert (done.added, done.changed, done.removed) == ((), (), ())


@settings(max_examples=150, deadline=None)
@given(documents(), documents(".env.example"))
def test_no_secret_of_the_live_file_comes(live: Document, example: Document) -> None:
    assume("sk-Zt" not in example.text and "p4ssw0rd" not in example.text and "hunter" not in example.text)
    try:
        text = sync(live, example, Policy(public=("*",), variables=KNOWN)).document.text
    except CouldNotLook:
        return
    assert "sk-Zt4kQ9vXw2Lp8sRb" not in text
    assert "p4ssw0rd" not in text
    assert "hunter22" not in text


@settings(max_examples=150, deadline=None)
@given(documents(".env.example"), documents())
def test_reverse_keeps_every_line_of_the_live_file(example: Document, live: Document) -> None:
    done = _or_refused(example, live, reverse=True)
    assert set(done.document.index) == set(example.index) | set(live.index)
    new = iter(done.document.text.removeprefix("\ufeff").splitlines())
    assert all(line in new for line in live.text.removeprefix("\ufeff").splitlines())  # a subsequence
    again = sync(example, done.document, POLICY, reverse=True)
    assert again.document.text == done.document.text


@settings(max_examples=100, deadline=None)
@given(documents(), documents(".env.example"))
def test_prune_leaves_the_keys_of_the_live_file(live: Document, example: Document) -> None:
    done = _or_refused(live, example, prune=True)
    assert set(done.document.index) == set(live.index)
    assert not Counter(comments(example)) - Counter(comments(done.document))
    assert sync(live, done.document, POLICY, prune=True).document.text == done.document.text


@settings(max_examples=50, deadline=None)
@given(documents())
def test_a_file_follows_itself_without_a_change_in_reverse(live: Document) -> None:
    assert sync(live, live, POLICY, reverse=True).document.text == live.text
    assert not Mask(live).holds("")


def _or_refused(source: Document, target: Document, *, reverse: bool = False, prune: bool = False) -> Synced:
    try:
        return sync(source, target, POLICY, reverse=reverse, prune=prune)
    except CouldNotLook:
        assume(False)
        raise


def _blanks(of: Document) -> int:
    return sum(isinstance(node, Blank) for node in of.nodes)


def test_the_title_of_a_real_example_stays_first() -> None:
    """The pair of November: the live file begins with a title of its own and most of its keys below it."""
    folder = DATA / "2025-11-16"
    live, example = ((folder / name).read_bytes() for name in (".env.docker", ".env.example"))
    done = sync(parse(live, ".env"), parse(example, ".env.example"), POLICY)
    text, before = done.document.text, parse(example, ".env.example").text
    assert text.splitlines()[:6] == before.splitlines()[:6]
    assert "EX-AI MCP Server Docker Environment Configuration" not in text
    websocket = text.partition("# WEBSOCKET CONFIGURATION")[2].partition("# GLM CONFIGURATION")[0]
    assert "\nEXAI_WS_RESULT_TTL=600\n" in websocket
