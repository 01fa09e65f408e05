"""The fair queue against a naive model, and what fairness promises."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exai_ops.daemon.fairqueue import FairQueue

PROVIDERS: list[str | None] = [None, "kimi", "glm"]
SESSIONS = ["a", "b", "c"]
providers = st.sampled_from(PROVIDERS)
sessions = st.sampled_from(SESSIONS)


class QueueMachine(RuleBasedStateMachine):
    """A session is blocked while it may take no more; whoever unblocks it calls ``unpark``."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: FairQueue[int] = FairQueue()
        self.lanes: dict[tuple[str | None, str], list[int]] = defaultdict(list)
        self.blocked: set[str] = set()
        self.number = 0

    def count(self, session: str) -> int:
        return sum(len(lane) for (_, owner), lane in self.lanes.items() if owner == session)

    @rule(provider=providers, session=sessions)
    def push(self, provider: str | None, session: str) -> None:
        self.number += 1
        self.queue.push(provider, session, self.number)
        self.lanes[provider, session].append(self.number)

    @rule(provider=providers, session=sessions, at=st.integers(0, 5))
    def discard(self, provider: str | None, session: str, at: int) -> None:
        lane = self.lanes[provider, session]
        item = lane[at % len(lane)] if lane else -1
        assert self.queue.discard(provider, session, item) is bool(lane)
        if lane:
            lane.remove(item)

    @rule(session=sessions)
    def block(self, session: str) -> None:
        self.blocked.add(session)

    @rule(session=sessions)
    def unblock(self, session: str) -> None:
        self.blocked.discard(session)
        self.queue.unpark(session)

    @rule(full=st.sets(providers))
    def pop(self, full: set[str | None]) -> None:
        heads = {
            lane[0]: key for key, lane in self.lanes.items() if lane and key[0] not in full | self.blocked
        }
        heads = {item: key for item, key in heads.items() if key[1] not in self.blocked}
        item = self.queue.pop(lambda p: p not in full, lambda s: s not in self.blocked)
        if not heads:
            assert item is None
        else:
            assert item in heads
            self.lanes[heads[item]].pop(0)

    @precondition(lambda self: self.count("a") + self.count("b") + self.count("c"))
    @rule()
    def newest_of_longest(self) -> None:
        found = self.queue.newest_of_longest()
        assert found is not None
        session, item = found
        assert self.count(session) == max(map(self.count, SESSIONS))
        lanes = [lane for (_, owner), lane in self.lanes.items() if owner == session]
        longest = max(map(len, lanes))
        assert item in [lane[-1] for lane in lanes if len(lane) == longest]

    @invariant()
    def counts(self) -> None:
        expected = {s: n for s in SESSIONS if (n := self.count(s))}
        assert len(self.queue) == sum(expected.values())
        assert self.queue.sessions() == expected
        assert [self.queue.waiting_of(s) for s in SESSIONS] == [self.count(s) for s in SESSIONS]

    def teardown(self) -> None:
        for session in SESSIONS:
            self.unblock(session)
        while sum(map(self.count, SESSIONS)):
            self.pop(set())
        assert not self.queue
        assert self.queue.newest_of_longest() is None


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def anyone(_: object) -> bool:
    return True


def crowd(mix: list[str | None], n: int = 1000) -> FairQueue[str]:
    """A queue with ``n`` items of one session, over these providers in turn."""
    queue: FairQueue[str] = FairQueue()
    for i in range(n):
        queue.push(mix[i % len(mix)], "crowd", f"crowd {i}")
    return queue


MIXES: list[list[str | None]] = [["kimi"], [None], ["kimi", "glm"], [None, "kimi", "glm"]]


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("popped", range(5))
def test_another_session_waits_for_one_of_the_crowd_per_lane(
    mix: list[str | None], provider: str | None, popped: int
) -> None:
    queue = crowd(mix)
    for _ in range(popped):
        queue.pop(anyone, anyone)
    queue.push(provider, "other", "the one")
    assert "the one" in [queue.pop(anyone, anyone) for _ in range(len(mix) + 1)]


@pytest.mark.parametrize("mix", MIXES)
def test_at_one_provider_another_session_is_among_the_next_two(mix: list[str | None]) -> None:
    queue = crowd(mix)
    queue.push("kimi", "other", "the one")
    assert "the one" in [queue.pop(lambda provider: provider == "kimi", anyone) for _ in range(2)]


@pytest.mark.parametrize("mix", MIXES)
def test_parking_does_not_cost_the_other_its_turn(mix: list[str | None]) -> None:
    queue = crowd(mix)
    assert queue.pop(anyone, lambda session: session != "crowd") is None
    queue.push("kimi", "other", "the one")
    queue.unpark("crowd")
    assert "the one" in [queue.pop(anyone, anyone) for _ in range(len(mix) + 1)]


@pytest.mark.parametrize("mix", MIXES)
def test_a_crowd_does_not_starve_behind_many_that_come_and_go(mix: list[str | None]) -> None:
    queue = crowd(mix, n=4)
    seen = []
    for i in range(12):
        queue.push("kimi", f"passer {i}", f"passer {i}")
        seen.append(queue.pop(anyone, anyone))
    assert sum(str(item).startswith("crowd") for item in seen) == 4


@pytest.mark.parametrize("mix", MIXES)
def test_many_sessions_take_turns(mix: list[str | None]) -> None:
    queue: FairQueue[str] = FairQueue()
    for session in "abcdefgh":
        for i in range(6):
            queue.push(mix[i % len(mix)], session, f"{session}{i}")
    served: Counter[str] = Counter()
    for _ in range(8 * 6):
        assert max(served.values(), default=0) - min(served[s] for s in "abcdefgh") <= len(mix)
        served[str(queue.pop(anyone, anyone))[0]] += 1
    assert set(served.values()) == {6}


def test_items_of_a_lane_keep_their_order() -> None:
    queue = crowd(["kimi"], n=5)
    assert queue.discard("kimi", "crowd", "crowd 2")
    assert not queue.discard("kimi", "crowd", "crowd 2")
    assert [queue.pop(anyone, anyone) for _ in range(5)] == ["crowd 0", "crowd 1", "crowd 3", "crowd 4", None]


def test_a_full_provider_holds_up_no_other() -> None:
    queue = crowd(["kimi"])
    queue.push("glm", "other", "the one")
    assert queue.pop(lambda provider: provider != "kimi", anyone) == "the one"
    assert queue.pop(lambda provider: provider != "kimi", anyone) is None
    assert len(queue) == 1000
