"""Which findings ``exai sem check`` shows: by code, and by what a baseline holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from exai_ops.commands.sem.choice import choose, shown
from exai_ops.env import baseline
from exai_ops.errors import CouldNotLook, UsageError
from exai_ops.findings import Finding, Status
from exai_ops.sem.model import Judgement, Scan, Semaphore, Verdict

COMMAND: Final = "exai sem check 1"
UNREAD: Final = Finding("SEM008", Status.UNKNOWN, "process 2 belongs to user 0")


def looked(*verdicts: Verdict) -> tuple[Scan, list[Judgement]]:
    """A scan with a semaphore ``m.S0``, ``m.S1`` ... for each verdict."""
    semaphores = tuple(
        Semaphore(number, "asyncio.Semaphore", "", (f"m.S{number}",), 1, 2) for number in range(len(verdicts))
    )
    return Scan(1, 1, "3.11.7", 0.0, 0.0, semaphores), [Judgement(one, 1) for one in verdicts]


ALL: Final = (Verdict.LEAKED, Verdict.IDLE, Verdict.SUSPECT, Verdict.SATURATED)


@pytest.mark.parametrize(
    ("only", "skip", "expected"),
    [
        ((), (), ["m.S0", "m.S1", "m.S2", "m.S3", None]),
        (("sem001",), (), ["m.S0", "m.S1", None]),
        (("SEM003,SEM004",), (), ["m.S2", "m.S3", None]),
        (("SEM00",), ("SEM001", "SEM004"), ["m.S2", None]),
        ((), ("SEM008",), ["m.S0", "m.S1", "m.S2", "m.S3"]),
        (("SEM001",), ("SEM008",), ["m.S0", "m.S1"]),
    ],
)
def test_rules_are_chosen_by_code(
    only: tuple[str, ...], skip: tuple[str, ...], expected: list[str | None]
) -> None:
    choice = choose(only, skip, None, write=False)
    scans, said, others = shown(choice, [looked(*ALL)], [UNREAD], COMMAND)
    assert [one.where.name for one in said + others] == expected
    ((scan, judgements),) = scans
    assert [one.where[0] for one in scan.semaphores] == [name for name in expected if name]
    assert len(judgements) == len(scan.semaphores)
    left_out = 4 - len(said)
    assert [note.split()[0] for note in scan.notes] == ([str(left_out)] if left_out else [])


@pytest.mark.parametrize(
    ("only", "skip", "base", "words"),
    [
        (("SEM999",), (), None, "--only: no rule has the code SEM999"),
        ((), ("XYZ",), None, "--skip: no rule has the code XYZ"),
        ((), (), None, "--write-baseline needs --baseline FILE"),
    ],
)
def test_what_cannot_be_chosen(
    only: tuple[str, ...], skip: tuple[str, ...], base: str | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        choose(only, skip, base, write=not only and not skip)


def kept(path: Path, *verdicts: Verdict) -> None:
    choice = choose((), (), str(path), write=True)
    assert choice.writes
    _, said, others = shown(choice, [looked(*verdicts)], [UNREAD], COMMAND)
    baseline.write(path, said + others)


def test_a_baseline_hides_what_is_known_and_tells_what_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "sem.json"
    kept(path, Verdict.LEAKED, Verdict.IDLE, Verdict.SUSPECT)
    rows = json.loads(path.read_text(encoding="utf-8"))["findings"]
    assert [(row["code"], row["key"], row["count"]) for row in rows] == [
        ("SEM001", "m.S0", 1),
        ("SEM003", "m.S2", 1),
    ]
    choice = choose((), (), str(path), write=False)
    scans, said, others = shown(choice, [looked(Verdict.LEAKED, Verdict.LEAKED, Verdict.BUSY)], [], COMMAND)
    assert [(one.status, one.where.name) for one in said] == [(Status.ERROR, "m.S1"), (Status.OK, "m.S2")]
    assert [(one.code, one.status) for one in others] == [("SEM009", Status.INFO)]
    assert others[0].message == "the baseline holds SEM003 m.S2, which is no longer found"
    assert others[0].hint == f"run {COMMAND} --baseline {path} --write-baseline"
    assert [one.where[0] for one in scans[0][0].semaphores] == ["m.S1", "m.S2"]


@pytest.mark.parametrize(
    ("verdict", "extra", "skip"),
    [
        (Verdict.UNKNOWN, [], ()),  # it could not be told, so it may still be there
        (Verdict.IDLE, [UNREAD], ()),
        (Verdict.IDLE, [], ("SEM009",)),
    ],
)
def test_nothing_is_gone_that_was_not_looked_at(
    tmp_path: Path, verdict: Verdict, extra: list[Finding], skip: tuple[str, ...]
) -> None:
    path = tmp_path / "sem.json"
    kept(path, Verdict.LEAKED)
    _, said, others = shown(choose((), skip, str(path), write=False), [looked(verdict)], extra, COMMAND)
    assert "SEM009" not in {one.code for one in said + others}


def test_what_is_no_baseline_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sem.json"
    with pytest.raises(CouldNotLook, match="is not a file"):
        choose((), (), str(path), write=False)
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(CouldNotLook, match="is not a baseline"):
        choose((), (), str(path), write=False)
