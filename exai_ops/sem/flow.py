"""What a function can still do to a semaphore from the instruction where it stands.

A `Flow` is a code object as a graph of nodes with events, read by an interpreter of its own version
(`exai_ops.sem.flow_twin`). An offset is `dis`'s, in bytes; the instruction that holds it counts as under way,
so that an await's outcome lies ahead: it may go on or raise. How an effect is counted:

- an awaited call, or ``async with``, takes effect when its await ends; if that raises, an acquire has not
  happened; a release is taken not to raise;
- an acquire whose result a branch tests happens on the true way only; else with arguments that let it come
  back without a permit (``blocking``, ``timeout``), it may have happened or not;
- every call, await, yield, lookup by key and operator may raise, but not attributes, iteration or logging,
  unless nothing else leads to a handler.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from exai_ops.sem.flow_model import MANY, RAISE, RETURN, Ahead, Closure, Event, Held, Match, Net, Node

State = tuple[int, int]
"""(permits more than at the start, permits given back beyond those taken)"""
Add = Callable[[State, int], State]
Change = tuple[int, ...]
Deltas = Callable[[Event], Change]
_NOTHING: Final = (0,)


@dataclass(frozen=True, eq=False)
class Flow:
    """A code object as a graph. Questions about offsets and semaphores are its methods."""

    code_id: int | str
    events: tuple[Event, ...]
    nodes: tuple[Node, ...]
    closures: tuple[Closure, ...]
    instructions: int
    resumed: Mapping[int, int] = field(default_factory=dict)
    """Offset after a yield, where 3.13 stands while suspended -> offset of the yield."""

    def at(self, offset: int) -> int:
        """The node that holds an offset; the first for -1, which has not begun."""
        offset = self.resumed.get(offset, offset)
        starts, numbers = _places(self)
        return numbers[max(bisect_right(starts, offset) - 1, 0)] if numbers else 0

    def under_way(self, offset: int) -> tuple[Event, ...]:
        """What the instruction at an offset is about: its own events and those that fail with it."""
        node = self.nodes[self.at(offset)]
        return tuple(self.events[number] for number in dict.fromkeys((*node.parts, *node.events)))

    def reachable(self, offset: int) -> tuple[Event, ...]:
        """All events from an offset on, in order of offsets."""
        seen = {self.at(offset)}
        todo = list(seen)
        while todo:
            node = self.nodes[todo.pop()]
            for way in (*node.ways, RAISE if node.handler is None else node.handler):
                if way >= 0 and way not in seen:
                    seen.add(way)
                    todo.append(way)
        numbers = {number for at in seen for number in (*self.nodes[at].events, *self.nodes[at].parts)}
        return tuple(sorted((self.events[number] for number in numbers), key=lambda event: event.offset))

    def ahead(self, offset: int, match: Match) -> Ahead:
        """What can still be done from an offset."""
        some = tuple(e for e in self.reachable(offset) if match.effect(e) is not None or _about(e, match))
        states = _spread(self, self.at(offset), _calls(match), _give)
        most = max(given for state in states.values() for _, given in state)
        ends = [min((given for _, given in states.get(end, ())), default=None) for end in (RETURN, RAISE)]
        lows = [low for low in ends if low is not None]
        least = min(lows) if lows else min(most, 1)
        return Ahead(some, least, None if most >= MANY else most, ends[0])

    def held(self, offset: int, match: Match) -> Held:
        """What may be held when the instruction at an offset begins."""
        at = self.at(offset)
        bounds = []
        for deltas in (_calls(match), _withs(match), _given(match)):
            counts = _from_start(self, deltas).get(at) or _NOTHING
            bounds.append((min(counts), None if max(counts) >= MANY else max(counts)))
        (least, most), (with_least, with_most), (_, given) = bounds
        return Held(least, most, with_least, with_most, given)

    def net(self, match: Match) -> Net:
        """What calling it does from beginning to end; of a coroutine, awaiting it."""
        states = _spread(self, 0, _all(match), _sum)
        ends = (frozenset(sum_ for sum_, _ in states.get(end, ())) for end in (RETURN, RAISE))
        return Net(*(None if any(abs(sum_) >= MANY for sum_ in some) else some for some in ends))


# --- what an event does to a count ---


def _about(event: Event, match: Match) -> bool:
    kinds = {"acquire", "release", "enter", "exit", "release_given", "enter_given"}
    return event.kind in kinds and match.path(event.paths)


@lru_cache(256)
def _calls(match: Match) -> Deltas:
    """By acquire, release and what the match says of other functions."""

    def deltas(event: Event) -> tuple[int, ...]:
        effect = match.effect(event)
        if effect is None and event.kind in {"acquire", "release"} and match.path(event.paths):
            effect = "release" if event.kind == "release" else "acquire"
        if effect is None:
            return _NOTHING
        if isinstance(effect, frozenset):
            return tuple(sorted(effect)) or _NOTHING
        if effect == "release":
            return (-1,)
        return (0, 1) if event.may else (1,)

    return deltas


@lru_cache(256)
def _withs(match: Match) -> Deltas:
    """By ``with`` blocks."""

    def deltas(event: Event) -> tuple[int, ...]:
        if event.kind in {"enter", "exit"} and match.path(event.paths):
            return (1,) if event.kind == "enter" else (-1,)
        return _NOTHING

    return deltas


@lru_cache(256)
def _given(match: Match) -> Deltas:
    """By releases handed to someone else."""
    return lambda event: (1,) if event.kind == "release_given" and match.path(event.paths) else _NOTHING


@lru_cache(256)
def _all(match: Match) -> Deltas:
    """By calls and ``with`` blocks."""
    calls, withs = _calls(match), _withs(match)
    return lambda event: tuple({one + other for one in calls(event) for other in withs(event)})


# --- states that flow over the graph ---


def _sum(state: State, delta: int) -> State:
    """Add, and stay where there is no bound."""
    count = state[0]
    return state if abs(count) >= MANY else (max(-MANY, min(MANY, count + delta)), 0)


def _keep(state: State, delta: int) -> State:
    """Add, never below nothing."""
    count = state[0]
    return state if count >= MANY else (max(0, min(MANY, count + delta)), 0)


def _give(state: State, delta: int) -> State:
    """Add, and remember how far below the start it has been."""
    count, given = state
    if given < MANY > count:
        count = min(MANY, count + delta)
    return (count, max(given, min(MANY, -count)))


def _spread(flow: Flow, start: int, deltas: Deltas, add: Add) -> dict[int, set[State]]:
    """States in which each node begins and in which the function ends, from a node on."""
    changes = [deltas(event) for event in flow.events]
    states: dict[int, set[State]] = {start: {(0, 0)}}
    todo = [start]
    due = {start, RETURN, RAISE}
    while todo:
        at = heapq.heappop(todo)
        due.remove(at)
        for way, state in _moves(flow, flow.nodes[at], states[at], changes, add):
            known = states.setdefault(way, set())
            if not state <= known:
                known |= state
                if way not in due:
                    due.add(way)
                    heapq.heappush(todo, way)
    return states


def _moves(
    flow: Flow, node: Node, state: set[State], changes: list[Change], add: Add
) -> list[tuple[int, set[State]]]:
    """Where a node leads, and in which states."""
    after = state
    for number in node.events:
        after = _apply(after, changes[number], add)
    moves = [(way, after) for way in node.ways]
    if node.handler is not None:
        within = flow.nodes[node.handler].parts if node.handler >= 0 else ()
        failed = state
        for number in node.parts:
            if number in within:  # the end of a thrown await: its own failure comes there
                continue
            change = changes[number]
            if change == (-1,):
                return moves
            failed = _apply(failed, tuple({min(delta, 0) for delta in change}), add)
        moves.append((node.handler, failed))
    return moves


def _apply(state: set[State], deltas: tuple[int, ...], add: Add) -> set[State]:
    if deltas == _NOTHING:
        return state
    return {add(one, delta) for one in state for delta in deltas}


@lru_cache(256)
def _from_start(flow: Flow, deltas: Deltas) -> dict[int, frozenset[int]]:
    """Permits that may be held where each node begins; nothing is said of those where there can be none."""
    if all(deltas(event) == _NOTHING for event in flow.events):
        return {}
    states = _spread(flow, 0, deltas, _keep)
    return {at: frozenset(count for count, _ in some) for at, some in states.items()}


@lru_cache(64)
def _places(flow: Flow) -> tuple[list[int], list[int]]:
    """Starts of the nodes, and their numbers, in order."""
    pairs = sorted((node.start, number) for number, node in enumerate(flow.nodes) if node.start >= 0)
    return [start for start, _ in pairs], [number for _, number in pairs]
