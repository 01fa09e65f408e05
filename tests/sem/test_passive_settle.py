"""Who accounts for the permits that are out: what calls have, what gives back, what carries."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.sem.model import Holder
from exai_ops.sem.passive.callbacks import Callback
from exai_ops.sem.passive.leases import Carried
from exai_ops.sem.passive.settle import settle, unexplained
from exai_ops.sem.passive.taken import Account
from exai_ops.sem.passive.tokens import Token


def frame(permits: int | None = 1, *, certain: bool = True) -> Holder:
    return Holder("frame", "task", (), permits, certain)


def timer(times: int = 1, *, scheduled: bool = True, by: str = "give") -> Callback:
    return Callback(7, "timer", times, scheduled, frozenset({by}))


def said(holders: list[Holder]) -> tuple[int, int | None]:
    """Permits with certain holders, and with others."""
    others = [holder.permits for holder in holders if not holder.certain]
    certain = sum(holder.permits or 0 for holder in holders if holder.certain)
    return certain, None if None in others else sum(permits or 0 for permits in others)


CASES = {
    "nothing is out": (0, Account(), Carried(), [], (0, 0)),
    "a frame has it": (1, Account(took=[frame()]), Carried(), [], (1, 0)),
    "a frame that took counts when none is out": (0, Account(took=[frame()]), Carried(), [], (1, 0)),
    "what only gives back does not": (0, Account(owes=[frame()]), Carried(), [], (0, 0)),
    "what only gives back": (1, Account(owes=[frame()]), Carried(), [], (1, 0)),
    "no more than is out": (2, Account(owes=[frame(5)]), Carried(), [], (2, 0)),
    "it may": (1, Account(owes=[frame(certain=False)]), Carried(), [], (0, 1)),
    "it may, as often as you like": (
        1, Account(owes=[frame(None, certain=False)]), Carried(), [], (0, None),
    ),
    "as many leases as are out": (2, Account(), Carried(leases={1: "L", 2: "L"}), [], (2, 0)),
    "fewer leases": (3, Account(), Carried(leases={1: "L", 2: "L"}), [], (2, 0)),
    "more leases": (1, Account(), Carried(leases={1: "L", 2: "L"}), [], (0, 2)),
    "a timer": (1, Account(), Carried(), [timer()], (1, 0)),
    "a timer besides a lease that is spent": (1, Account(), Carried(leases={1: "L"}), [timer()], (1, 0)),
    "entries of a table": (2, Account(), Carried(tokens=[Token(9, "self.out", 2)]), [], (2, 0)),
    "entries that are leases": (
        1, Account(), Carried(leases={1: "L"}, tokens=[Token(9, "self.out", 1, (1,))]), [], (1, 0),
    ),
    "entries that are tasks which have it": (
        2, Account(took=[frame()], tasks={5}), Carried(tokens=[Token(9, "self.out", 1, (5,))]), [], (1, 0),
    ),
    "entries that a frame will take out": (
        2, Account(took=[frame()], through=Counter({"close": 1})),
        Carried(tokens=[Token(9, "self.out", 1, (), "close")]), [], (1, 0),
    ),
    "entries that a timer will take out": (
        3, Account(), Carried(tokens=[Token(9, "self.out", 1, (), "give")]), [timer()], (1, 0),
    ),
    "a function that anyone may call": (1, Account(), Carried(open=["Pool.put"]), [], (0, None)),
    "tuples that nothing explains": (2, Account(), Carried(loose={1: "tuple", 2: "tuple"}), [], (0, 2)),
    "given twice, and a timer to come": (-1, Account(), Carried(), [timer()], (1, 0)),
    "given twice, and a callback that is kept": (-1, Account(), Carried(), [timer(scheduled=False)], (0, 0)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("missing", "account", "carried", "callbacks", "expected"), CASES.values(), ids=CASES
)
def test_who_accounts_for_what_is_out(
    missing: int,
    account: Account,
    carried: Carried,
    callbacks: list[Callback],
    expected: tuple[int, int | None],
) -> None:
    assert said(settle(missing, account, carried, callbacks)) == expected


def test_of_an_unknown_bound_all_are_told() -> None:
    account = Account(took=[frame()], owes=[frame(certain=False)])
    assert settle(None, account) == [*account.took, *account.owes]


def test_a_holder_without_a_bound_leaves_nothing_unexplained() -> None:
    assert unexplained(5, [frame(None)]) == 0


@given(
    missing=st.integers(0, 20),
    leases=st.integers(0, 8),
    entries=st.integers(0, 8),
    timers=st.integers(0, 8),
    owing=st.lists(st.integers(1, 4), max_size=4),
)
def test_what_merely_carries_never_makes_more_be_out_than_is(
    missing: int, leases: int, entries: int, timers: int, owing: list[int]
) -> None:
    account = Account(owes=[frame(number) for number in owing])
    carried = Carried(leases=dict.fromkeys(range(leases), "L"), tokens=[Token(99, "self.out", entries)])
    holders = settle(missing, account, carried, [timer()] * timers)
    assert unexplained(missing, holders) >= 0
