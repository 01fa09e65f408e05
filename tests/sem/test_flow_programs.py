"""Flows of generated programs against their meaning, worked out from the source."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exai_ops.sem.flow_model import MANY, Match

from .flow_programs import INTERPRETERS, describe, flows

Statement = tuple[Any, ...]
Block = list[Statement]
SEM = Match.of({"sem"})

SIMPLE = st.sampled_from(
    [
        ("acquire",),
        ("acquire",),
        ("release",),
        ("release",),
        ("work",),
        ("return",),
        ("break",),
        ("continue",),
    ]
)


def compound(inner: st.SearchStrategy[Statement]) -> st.SearchStrategy[Statement]:
    """Statements made of others."""
    block = st.lists(inner, min_size=1, max_size=4)
    return st.one_of(
        st.tuples(st.just("if"), block, st.lists(inner, max_size=3)),
        st.tuples(st.just("while"), block),
        st.tuples(st.just("for"), block),
        st.tuples(st.just("with"), block),
        st.tuples(st.just("finally"), block, block),
        st.tuples(st.just("except"), st.sampled_from(["OSError", "BaseException"]), block, block),
    )


BLOCKS = st.lists(st.recursive(SIMPLE, compound, max_leaves=8), min_size=1, max_size=5)
PROGRAMS = st.lists(st.tuples(BLOCKS, st.integers(0, 30)), min_size=1, max_size=12)


def legal(block: Block, loop: bool = False) -> Block:
    """Without what stands outside a loop, and with something that can raise in each try."""
    out: Block = []
    for word, *rest in block:
        if word in {"break", "continue"} and not loop:
            out.append(("work",))
        elif word == "except":
            out.append((word, rest[0], [("work",), *legal(rest[1], loop)], legal(rest[2], loop)))
        elif word == "finally":  # no way out of a finally but its end
            out.append((word, [("work",), *legal(rest[0], loop)], calm(legal(rest[1], False))))
        else:
            out.append((word, *(legal(inner, loop or word in {"while", "for"}) for inner in rest)))
    return out


def calm(block: Block) -> Block:
    """Without return."""
    return [
        ("work",) if word == "return" else (word, *(calm(p) if isinstance(p, list) else p for p in rest))
        for word, *rest in block
    ]


def marked(block: Block, number: int) -> Block:
    """With one mark before the number-th statement outside of a finally, at the end when there are fewer."""
    left = [number]

    def walk(some: Block) -> Block:
        out: Block = []
        for word, *rest in some:
            if left[0] == 0:
                out.append(("mark",))
            left[0] -= 1
            parts = rest[:1] if word == "finally" else rest
            done = [walk(part) if isinstance(part, list) else part for part in parts]
            out.append((word, *done, *rest[len(parts) :]))
        return out

    found = walk(block)
    return found if left[0] < 0 else [*found, ("mark",)]


TEXT = {"acquire": "await sem.acquire()", "release": "sem.release()", "work": "await work()",
        "mark": "await mark()"}  # fmt: skip
HEADS = {"while": "while cond():", "for": "for item in items:", "with": "async with sem:"}


def render(block: Block, depth: int) -> list[str]:
    """Its source."""
    pad = "    " * depth
    lines: list[str] = []
    for word, *rest in block or [("pass",)]:
        if word == "if":
            lines += [f"{pad}if cond():", *render(rest[0], depth + 1)]
            lines += [f"{pad}else:", *render(rest[1], depth + 1)] if rest[1] else []
        elif word in HEADS:
            lines += [pad + HEADS[word], *render(rest[0], depth + 1)]
        elif word == "finally":
            lines += [f"{pad}try:", *render(rest[0], depth + 1)]
            lines += [f"{pad}finally:", *render(rest[1], depth + 1)]
        elif word == "except":
            lines += [f"{pad}try:", *render(rest[1], depth + 1)]
            lines += [f"{pad}except {rest[0]}:", *render(rest[2], depth + 1)]
        else:
            lines.append(pad + str(TEXT.get(word, word)))
    return lines


# --- what it means ---


@dataclass(frozen=True)
class State:
    """Of one run: permits held by calls and blocks, the sum; since the mark, the sum and the most given."""

    held: int = 0
    blocks: int = 0
    net: int = 0
    since: int | None = None
    given: int = 0


States = frozenset[State]
NONE: States = frozenset()


def add(count: int, delta: int, low: int) -> int:
    """A count that stays where it has no bound."""
    return count if count >= MANY or count <= -MANY else max(low, min(MANY, count + delta))


@dataclass
class Out:
    """Where runs can be after a block."""

    on: States = NONE
    returns: States = NONE
    raises: States = NONE
    breaks: States = NONE
    continues: States = NONE

    def join(self, other: Out, *, keep: bool = True) -> None:
        """Take in another's ends; where it goes on, too, unless told otherwise."""
        for name in ("returns", "raises", "breaks", "continues", *(["on"] if keep else [])):
            setattr(self, name, getattr(self, name) | getattr(other, name))


def call(state: State, delta: int) -> State:
    """After an acquire or a release."""
    since, given = state.since, state.given
    if since is not None:
        if given < MANY > since:
            since = min(MANY, since + delta)
        given = max(given, min(MANY, -since))
    return State(add(state.held, delta, 0), state.blocks, add(state.net, delta, -MANY), since, given)


def within(state: State, delta: int) -> State:
    """After entering or leaving a block."""
    blocks, net = add(state.blocks, delta, 0), add(state.net, delta, -MANY)
    return State(state.held, blocks, net, state.since, state.given)


def each(states: States, change: Callable[[State, int], State], delta: int) -> States:
    return frozenset(change(state, delta) for state in states)


@dataclass
class Meaning:
    """Runs a program in all ways at once."""

    at_mark: set[State] = field(default_factory=set)

    def block(self, block: Block, states: States) -> Out:
        out = Out(on=states)
        for word, *rest in block:
            if not out.on:
                break
            step = getattr(self, f"do_{word}")(out.on, *rest)
            out.on = NONE
            out.join(step)
        return out

    def do_pass(self, states: States) -> Out:
        return Out(on=states)

    def do_work(self, states: States) -> Out:
        return Out(on=states, raises=states)

    def do_acquire(self, states: States) -> Out:
        return Out(on=each(states, call, 1), raises=states)

    def do_release(self, states: States) -> Out:
        return Out(on=each(states, call, -1))

    def do_mark(self, states: States) -> Out:
        self.at_mark |= states
        return self.do_work(states | {State(s.held, s.blocks, s.net, 0, 0) for s in states})

    def do_return(self, states: States) -> Out:
        return Out(returns=states)

    def do_break(self, states: States) -> Out:
        return Out(breaks=states)

    def do_continue(self, states: States) -> Out:
        return Out(continues=states)

    def do_if(self, states: States, then: Block, other: Block) -> Out:
        out = Out(raises=states)
        out.join(self.block(then, states))
        out.join(self.block(other, states))
        return out

    def do_while(self, states: States, body: Block) -> Out:
        out = self.do_for(states, body)
        out.raises |= self.seen
        return out

    def do_for(self, states: States, body: Block) -> Out:
        seen, out = NONE, Out()
        while not states <= seen:
            seen |= states
            once = self.block(body, seen)
            out.join(once, keep=False)
            states = once.on | once.continues
        self.seen = seen
        return Out(seen | out.breaks, out.returns, out.raises)

    def do_with(self, states: States, body: Block) -> Out:
        inner = self.block(body, each(states, within, 1))
        left = Out(*(each(part, within, -1) for part in vars(inner).values()))
        # entering may fail before it has a permit; leaving does not, and may swallow what went wrong
        left.raises |= states
        left.on |= each(inner.raises, within, -1)
        return left

    def do_finally(self, states: States, body: Block, last: Block) -> Out:
        inner, out = self.block(body, states), Out()
        for name, ends in vars(inner).items():
            done = self.block(last, ends)
            setattr(out, name, getattr(out, name) | done.on)
            done.on = NONE
            out.join(done)
        return out

    def do_except(self, states: States, kind: str, body: Block, handler: Block) -> Out:
        inner = self.block(body, states)
        caught = self.block(handler, inner.raises)
        if kind == "BaseException":
            inner.raises = NONE
        inner.join(caught)
        return inner


def bound(numbers: Iterable[int]) -> tuple[int, int | None]:
    some = set(numbers) or {0}
    return min(some), None if max(some) >= MANY else max(some)


@pytest.mark.parametrize("version", sorted(INTERPRETERS))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs=PROGRAMS)
def test_a_flow_means_what_its_source_means(version: str, programs: list[tuple[Block, int]]) -> None:
    blocks = [marked(legal(block), number) for block, number in programs]
    text = "".join(
        "\n".join([f"async def f{number}():", *render(block, 1)]) + "\n"
        for number, block in enumerate(blocks)
    )
    program = describe(version, text)
    found = flows(version, program)
    for number, block in enumerate(blocks):
        meaning = Meaning()
        out = meaning.block(block, frozenset({State()}))
        returns, raises = out.on | out.returns, out.raises
        flow = found[f"f{number}"]
        net, source = flow.net(SEM), "\n".join(render(block, 0))
        for ours, theirs in ((net.returns, returns), (net.raises, raises)):
            sums = frozenset(state.net for state in theirs)
            assert ours == (None if any(abs(s) >= MANY for s in sums) else sums), source
        mark = program.marks[f"f{number}"]
        if mark is None or not meaning.at_mark:
            continue
        held, ahead = flow.held(mark, SEM), flow.ahead(mark, SEM)
        assert (held.least, held.most) == bound(state.held for state in meaning.at_mark), source
        assert (held.with_least, held.with_most) == bound(state.blocks for state in meaning.at_mark), source
        ends = [[s.given for s in some if s.since is not None] for some in (returns, raises)]
        if ends[0] + ends[1]:
            assert ahead.least == min(ends[0] + ends[1]), source
            assert ahead.least_returning == min(ends[0], default=None), source
