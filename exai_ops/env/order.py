"""The fewest moves that bring one order into another."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def moves(have: Sequence[T], want: Sequence[T]) -> list[T]:
    """The items of ``have`` to move, so that it stands in the order of ``want``; as few as can be.

    Both hold the same items, each once. What stays is a longest increasing subsequence, found in
    O(n log n) by patience sorting.
    """
    place = {item: index for index, item in enumerate(want)}
    kept = set(_longest_increasing([place[item] for item in have]))
    return [item for item in have if place[item] not in kept]


def _longest_increasing(numbers: Sequence[int]) -> list[int]:
    tops: list[int] = []  # the smallest last number of an increasing run of each length
    at: list[int] = []  # where that number stands
    before: list[int] = []  # what comes before each number in its run, or -1
    for index, number in enumerate(numbers):
        length = bisect_left(tops, number)
        before.append(at[length - 1] if length else -1)
        tops[length : length + 1] = [number]
        at[length : length + 1] = [index]
    found = []
    index = at[-1] if at else -1
    while index >= 0:
        found.append(numbers[index])
        index = before[index]
    return found[::-1]
