"""The pair of files of a real outage, brought together by ``sync`` and ``fix``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from exai_ops.env.document import parse
from exai_ops.env.fix import fix
from exai_ops.env.model import Document
from exai_ops.env.patch import patch
from exai_ops.env.publish import Policy
from exai_ops.env.rules import RULES
from exai_ops.env.rules.table import Context
from exai_ops.env.runner import run, select
from exai_ops.env.sections import sections
from exai_ops.env.sync import Synced, sync
from exai_ops.findings import Status
from exai_ops.settings import VARIABLES

from .documents import comments

DATA = Path(__file__).parent / "data" / "2025-10-18"
POLICY = Policy(variables={name: variable for variable in VARIABLES for name in variable.names})
CANARIES = ("canary-Zq7Lw9", "cAnArY1234567890abcdefXYZ")


def read(name: str) -> Document:
    return parse((DATA / name).read_bytes(), name)


@pytest.fixture
def live() -> Document:
    """The live file with a canary for every secret, and some in comments."""
    text = read(".env.docker.template").text
    text = text.replace("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", CANARIES[0])
    text = text.replace("test-token-12345", CANARIES[1]).replace("_here  #", f"_{CANARIES[1]}  #")
    text = text.replace("METRICS_PORT=8000  #", f"METRICS_PORT=8000  # not {CANARIES[0]}, {CANARIES[1]}:")
    text = text.replace("# PHASE 3 (2025", f"# {CANARIES[0]} {CANARIES[1]}\n# PHASE 3 (2025")
    return parse(text.encode(), ".env.docker")


@pytest.fixture
def example() -> Document:
    return read(".env.example")


@pytest.fixture
def done(live: Document, example: Document) -> Synced:
    return sync(live, example, POLICY)


def test_no_key_of_the_live_file_is_missing(live: Document, example: Document, done: Synced) -> None:
    missing = [key for key in live.index if key not in example.index]
    assert len(missing) == 14
    assert sorted(done.added) == sorted(missing)
    assert set(live.index) < set(done.document.index)


def test_nothing_of_the_example_is_lost(example: Document, done: Synced) -> None:
    kept = Counter(comments(done.document))
    assert not Counter(comments(example)) - kept
    assert [s.title for s in sections(done.document)] == [s.title for s in sections(example)]
    assert [a.key for a in done.document.assignments if a.key in example.index] == [
        a.key for a in example.assignments
    ]
    assert [a.inline for a in done.document.assignments if a.key in example.index] == [
        a.inline for a in example.assignments
    ]


def test_keys_stand_where_the_live_file_has_them(live: Document, done: Synced) -> None:
    for key in done.added:
        assert done.document.index[key][-1].section == live.index[key][-1].section


def test_no_secret_comes_into_the_example_or_the_diff(
    live: Document, example: Document, done: Synced
) -> None:
    shown = patch(example, done.document, live) + patch(
        live, sync(example, live, POLICY, reverse=True).document
    )
    for canary in CANARIES:
        assert canary in live.text
        assert canary not in done.document.text + shown
        assert canary[:8] not in done.document.text + shown


def test_the_lesson_of_the_outage_is_learnt(done: Synced) -> None:
    values = {key: all_of[-1].value for key, all_of in done.document.index.items()}
    assert values["EXAI_WS_PING_INTERVAL"] == "30"
    assert values["EXAI_WS_HOST"] == "127.0.0.1"
    assert values["REDIS_PASSWORD"] == values["EXAI_WS_TOKEN"] == ""


def test_a_second_run_changes_nothing(live: Document, example: Document, done: Synced) -> None:
    assert sync(live, done.document, POLICY).document.text == done.document.text
    back = sync(example, live, POLICY, reverse=True).document
    assert sync(example, back, POLICY, reverse=True).document.text == back.text


def test_prune_takes_out_exactly_what_the_live_file_lacks(
    live: Document, example: Document, done: Synced
) -> None:
    pruned = sync(live, example, POLICY, prune=True)
    assert len(pruned.removed) == 6
    assert set(pruned.removed) == set(example.index) - set(live.index)
    gone = [line for line in done.document.text.splitlines() if line.split("=")[0] in pruned.removed]
    assert sorted(pruned.document.text.splitlines() + gone) == sorted(done.document.text.splitlines())


def test_reverse_keeps_every_line_of_the_live_file(live: Document, example: Document) -> None:
    done = sync(example, live, POLICY, reverse=True)
    new = iter(done.document.text.splitlines())
    assert all(line in new for line in live.text.splitlines())
    assert sorted(done.added) == sorted(key for key in example.index if key not in live.index)


def test_fix_takes_the_comments_out_of_the_values(example: Document) -> None:
    mended = fix(example)
    assert Counter(f.code for f in mended.fixes) == {"ENV101": 1, "ENV104": 16}
    assert not [a.key for a in mended.document.assignments if not a.value and a.inline]
    assert fix(mended.document).fixes == ()


def test_check_is_clean_after_sync_and_fix_but_for_what_needs_a_person(example: Document) -> None:
    """Which of two values is right where neither is known to be public, and which of two lines was meant."""
    live = read(".env.docker.template")
    mended = fix(sync(live, example, POLICY).document).document
    filled = fix(sync(mended, live, POLICY, reverse=True).document).document
    context = Context(example=mended, live=filled, variables=POLICY.variables)
    found = run(select(RULES, only=("ENV0", "ENV1")), context)
    assert {(f.code, f.where.name) for f in found if f.status in (Status.WARNING, Status.ERROR)} == {
        ("ENV005", "CONVERSATION_STORAGE_BACKEND"),
        ("ENV004", "SUPABASE_URL"),
        ("ENV004", "SUPABASE_ANON_KEY"),
        ("ENV004", "SUPABASE_SERVICE_ROLE_KEY"),
    }
