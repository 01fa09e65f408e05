"""One reading of many, without a process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import pytest

from exai_ops.sem.passive import steady
from exai_ops.sem.passive.primitives import Primitive
from exai_ops.sem.passive.steady import Seen, Steady
from exai_ops.sem.passive.taken import Account

BOUND = 8
AT = 4096


def reading(left: int, number: int, *, sure: bool = True) -> Seen:
    """One that misses ``left`` permits; no two in a row are the same."""
    granted = number % 2
    primitive = Primitive(AT, "asyncio.Semaphore", "", BOUND - left - granted, BOUND)
    return Seen(primitive, Account(), (), granted, sure)


class Replay:
    """Gives readings that miss these, then the last for ever."""

    def __init__(self, lefts: Sequence[int], *, bound: int | None = BOUND, sure: bool = True) -> None:
        self.taken = 0
        self.asked: list[bool] = []
        self._bound = bound
        self._readings = self._all(lefts, sure=sure)

    @staticmethod
    def _all(lefts: Sequence[int], *, sure: bool) -> Iterator[Seen]:
        for number in count():
            yield reading(lefts[min(number, len(lefts) - 1)], number, sure=sure)

    def sample(self, *, new: bool = False) -> dict[int, Seen]:
        self.taken += 1
        self.asked.append(new)
        return {AT: next(self._readings)}

    def changes(self) -> bool:
        return True

    def missing(self, one: Seen) -> int | None:
        return None if self._bound is None else self._bound - one.primitive.value - one.granted


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_APART_S", "_LONG_APART_S", "_PAUSE_S"):
        monkeypatch.setattr(steady, name, 0.0)


def left(reader: Replay) -> int | None:
    first = reader.sample()
    return reader.missing(Steady(reader).of(first)[AT])


def test_what_does_not_change_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Replay([3])
    monkeypatch.setattr(reader, "changes", lambda: False)
    assert (left(reader), reader.taken) == (3, 1)


def test_what_is_the_same_twice_and_accuses_of_nothing_is_read_twice() -> None:
    reader = Replay([0])
    first = reader.sample()
    reader._readings = iter([first[AT]])
    assert Steady(reader).of(first) == first
    assert reader.taken == 2


@pytest.mark.parametrize("lefts", [[0], [0, 0, 1, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0]])
def test_what_moves_and_accuses_of_nothing_takes_few_readings(lefts: list[int]) -> None:
    reader = Replay(lefts)
    assert left(reader) == 0
    assert 4 <= reader.taken <= 6


@pytest.mark.parametrize("wanted", [1, 3, -2])
def test_an_accusation_takes_many(wanted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "_ACCUSES_S", 0.0)
    reader = Replay([wanted, 0, wanted, wanted, 5, wanted])
    assert left(reader) == wanted
    assert reader.taken >= 12


def test_an_accusation_goes_on_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "_ACCUSES_S", 60.0)
    reader = Replay([1])
    assert left(reader) == 1
    assert reader.taken == 202  # the first, the second, and all that there may be


def test_what_never_agrees_misses_the_least() -> None:
    assert left(Replay([3, 2, 4, 1, 5, 6] * 50)) == 1


def test_what_was_never_sure_misses_the_least() -> None:
    assert left(Replay([3, 2, 4] * 100, sure=False)) == 2


@pytest.mark.parametrize(("bound", "new"), [(BOUND, False), (None, True)])
def test_where_no_bound_is_known_the_second_reading_looks_for_new_holders(
    bound: int | None, new: bool
) -> None:
    reader = Replay([0], bound=bound)
    left(reader)
    assert reader.asked[1] is new
