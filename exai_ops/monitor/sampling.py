"""Which events are kept, by rules over type, direction and function.

Every event is counted before it is sampled, so totals, rates and percentiles are of all. What is kept carries
a ``weight``: how many events it stands for.

Of each block of N events of a series one is kept, drawn at random, each with the same chance. An event's
chance is then 1/N whatever it holds, which makes every sum over kept events times their weights unbiased: of
events, of bytes, of those above a duration. As each whole block gives exactly one, the weights of a series
never stray from its count by N or more, where a coin for each event would stray with the square root of the
count. And as the place within the block is drawn anew, no rhythm of the traffic can fall in with it, as one
that repeats every N events falls in with every N-th.

Nothing is decided by the hash of a key: what follows from a key keeps or hides one key for good.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from random import random
from typing import Final

from exai_ops.monitor.events import RawEvent

ALWAYS_KEPT: Final = frozenset({"error", "reject", "rate_limit"})
"""Directions that no rule samples; nor is an event with an error ever sampled."""

STATE_CHANGES: Final = frozenset({"connect", "disconnect"})
"""Directions that are significant by themselves."""

LARGEST_N: Final = 1_000_000
_SIZES: Final = {"b": 1, "kb": 1024, "mb": 1024**2}
_TIMES_MS: Final = {"ms": 1.0, "s": 1000.0}
_POLICY: Final = re.compile(r"1/([0-9]{1,7})((?:>[0-9]{1,9}(?:\.[0-9]{1,6})?(?:ms|s|b|kb|mb))*)")
_THRESHOLD: Final = re.compile(r">([0-9.]+)([a-z]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One in ``one_in`` is kept, 1 for all; and always what is significant.

    Attributes:
        slower_ms, larger_bytes: What takes longer or is larger is significant; None for no such bound.
        state_changes: Whether connects and disconnects are.
    """

    one_in: int = 1
    slower_ms: float | None = None
    larger_bytes: float | None = None
    state_changes: bool = False


ALWAYS: Final = Policy()
SIGNIFICANT: Final = Policy(one_in=10, slower_ms=100.0, larger_bytes=65536, state_changes=True)


@dataclass(frozen=True, slots=True)
class Rule:
    """The policy of events whose names fit three patterns; ``*`` and ``?`` stand for anything in them."""

    connection_type: str
    direction: str
    function_name: str
    policy: Policy

    def fits(self, connection_type: str, direction: str, function_name: str) -> bool:
        """Whether it speaks of these."""
        return (
            fnmatchcase(connection_type, self.connection_type)
            and fnmatchcase(direction, self.direction)
            and fnmatchcase(function_name, self.function_name)
        )


DEFAULT: Final = (
    Rule("redis", "*", "get", Policy(one_in=10)),
    Rule("redis", "*", "set", Policy(one_in=10)),
    Rule("supabase", "*", "read", Policy(one_in=10)),
)
"""Redis get and set, and Supabase's simple reads, one in 10; everything else always."""


class Sampling:
    """What a monitor keeps: the first rule that fits decides, then ``DEFAULT``, then all is kept."""

    def __init__(self, rules: Sequence[Rule] = (), *, default: Sequence[Rule] = DEFAULT) -> None:
        self._rules = (*rules, *default)

    def sampler(self, connection_type: str, direction: str, function_name: str) -> Sampler | None:
        """For the events of one series; None where all are kept."""
        if direction in ALWAYS_KEPT:
            return None
        fitting = (
            rule.policy for rule in self._rules if rule.fits(connection_type, direction, function_name)
        )
        policy = next(fitting, ALWAYS)
        if policy.one_in == 1 or (policy.state_changes and direction in STATE_CHANGES):
            return None
        return Sampler(policy)


class Sampler:
    """Draws from one series. Not thread-safe: its owner holds a lock."""

    __slots__ = ("_at", "_bounded", "_larger", "_one_in", "_pick", "_slower")

    def __init__(self, policy: Policy) -> None:
        infinite = float("inf")
        self._one_in = policy.one_in
        self._slower = infinite if policy.slower_ms is None else policy.slower_ms
        self._larger = infinite if policy.larger_bytes is None else policy.larger_bytes
        self._bounded = self._slower < infinite or self._larger < infinite
        self._at = 0
        self._pick = int(random() * policy.one_in)  # noqa: S311 no secret hangs on it

    def keep(self, events: Sequence[RawEvent], *, errors: bool = True) -> list[tuple[int, RawEvent]]:
        """Those that are kept, with their weights and their places among these.

        ``errors`` says that some may have one. What is significant is in no block.
        """
        if errors or self._bounded:
            return self._picked_from_each(events)
        return self._picked(events)

    def _picked(self, events: Sequence[RawEvent]) -> list[tuple[int, RawEvent]]:
        """The same where none is significant: goes from pick to pick."""
        one_in, at, pick = self._one_in, self._at, self._pick
        kept: list[tuple[int, RawEvent]] = []
        begin, end = -at, len(events)  # the place of the block's first event
        while True:
            place = begin + pick
            if 0 <= place < end:
                kept.append((place, (*events[place][:9], one_in)))
            if begin + one_in > end:
                break
            begin += one_in
            pick = int(random() * one_in)  # noqa: S311 no secret hangs on it
        self._at, self._pick = end - begin, pick
        return kept

    def _picked_from_each(self, events: Sequence[RawEvent]) -> list[tuple[int, RawEvent]]:
        one_in, slower, larger = self._one_in, self._slower, self._larger
        at, pick = self._at, self._pick
        kept: list[tuple[int, RawEvent]] = []
        for place, event in enumerate(events):
            if event[7] is not None or event[5] > larger or (event[6] is not None and event[6] > slower):
                kept.append((place, event))
                continue
            if at == pick:
                kept.append((place, (*event[:9], one_in)))
            at += 1
            if at == one_in:
                at, pick = 0, int(random() * one_in)  # noqa: S311
        self._at, self._pick = at, pick
        return kept


def parse(text: str) -> list[Rule]:
    """Rules written as ``TYPE[/DIRECTION[/FUNCTION]]=POLICY``, apart by spaces, commas or semicolons.

    A policy is ``always``; ``1/10``; ``1/10>500ms>64kb``, which always keeps what takes longer or is larger;
    or ``significant``, which is ``1/10>100ms>64kb`` with connects and disconnects always. Raises ValueError
    that repeats the rule and says what it should be.
    """
    return [_rule(written) for written in re.split(r"[\s,;]+", text) if written]


def _rule(written: str) -> Rule:
    names, separator, policy = written.rpartition("=")
    parts = [*names.split("/", 2), "*", "*"][:3]
    if not separator or not all(parts):
        raise ValueError(
            f"{written[:80]!r} is no rule; write TYPE/DIRECTION/FUNCTION=POLICY, as redis/*/get=1/10"
        )
    return Rule(parts[0], parts[1], parts[2], _policy(policy.lower(), written))


def _policy(text: str, written: str) -> Policy:
    known = {"always": ALWAYS, "significant": SIGNIFICANT}.get(text)
    if known is not None:
        return known
    found = _POLICY.fullmatch(text)
    if found is None:
        allowed = "always, significant, 1/N, or 1/N>500ms>64kb"
        raise ValueError(f"{written[:80]!r}: the policy must be {allowed}")
    bounds = [(float(number), unit) for number, unit in _THRESHOLD.findall(found[2])]
    one_in = int(found[1])
    if not 1 <= one_in <= LARGEST_N:
        raise ValueError(f"{written[:80]!r}: N must be from 1 to {LARGEST_N}")
    slower = [number * _TIMES_MS[unit] for number, unit in bounds if unit in _TIMES_MS]
    larger = [number * _SIZES[unit] for number, unit in bounds if unit in _SIZES]
    return Policy(one_in=one_in, slower_ms=min(slower, default=None), larger_bytes=min(larger, default=None))
