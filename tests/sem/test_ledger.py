"""The answer of our own daemon's ledger, as tables; a daemon at work is looked at in tests/e2e."""

from __future__ import annotations

from typing import Any

import pytest

from exai_ops.sem.ledger import disagreements, judgements, scan_of

HOLDER = {
    "tool": "chat", "session": "s1", "request": "r1", "provider": "kimi", "site": "daemon/dispatch.py:246",
    "awaits": ["tools/chat.py:46 chat"], "age_s": 1.5, "waited_s": 0.0, "deadline_in_s": 9.0, "leak": None,
}  # fmt: skip


def status(*, free: int = 2, holders: int = 1, leak: str | None = None, queued: int = 0) -> dict[str, Any]:
    """A daemon's answer."""
    row = {"limit": 3, "held": 3 - free, "free": free}
    return {
        "pid": 7,
        "permits": {
            "limits": {"global": row, "kimi": row, "glm": {"limit": 4, "held": 0, "free": 4}},
            "holders": [HOLDER | {"leak": leak}] * holders,
            "sessions": {"s1": {"held": 1, "queued": queued}},
        },
    }


ANSWERS = [
    ("busy", status(), ["busy", "busy", "idle"]),
    ("idle", status(free=3, holders=0), ["idle", "idle", "idle"]),
    ("all out", status(free=0, holders=3, queued=2), ["saturated", "saturated", "idle"]),
    ("a leak", status(leak="owner done"), ["leaked", "leaked", "idle"]),
    ("one missing", status(free=1), ["leaked", "leaked", "idle"]),
    ("one too many", status(free=3), ["over-released", "over-released", "idle"]),
]


@pytest.mark.parametrize(
    ("answer", "verdicts"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
def test_verdicts_of_an_answer(answer: dict[str, Any], verdicts: list[str]) -> None:
    scan = scan_of(answer, at_s=1, took_s=0)
    assert [judgement.verdict for judgement in judgements(scan, answer)] == verdicts


def test_what_an_answer_tells() -> None:
    everything = scan_of(status(queued=2), at_s=1, took_s=0).semaphores[0]
    assert (everything.where, everything.value, everything.bound) == (("permits global",), 2, 3)
    (holder,) = everything.holders
    assert (holder.name, holder.since_s) == ("chat r1 of session s1", 1.5)
    assert [str(site) for site in holder.stack] == ["daemon/dispatch.py:246", "tools/chat.py:46 in chat"]
    assert [waiter.name for waiter in everything.waiters] == ["a call of session s1"] * 2


@pytest.mark.parametrize("answer", [{}, {"permits": None}, {"pid": 1, "permits": {"limits": {"a": {}}}}])
def test_another_program_s_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no ledger in it"):
        scan_of(answer, at_s=1, took_s=0)


def test_numbers_that_moved_are_no_disagreement() -> None:
    one, other = (scan_of(status(free=free), at_s=1, took_s=0).semaphores for free in (2, 1))
    assert set(disagreements(one, other, one)) == {"permits global", "permits kimi"}
    assert disagreements(one, other, other) == {}
    assert disagreements(one, one, one) == {}
    assert "is not found in memory" in disagreements(one, (), one)["permits glm"]
