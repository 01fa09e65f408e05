"""What code can still do to a semaphore, on every version that is here."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from functools import cache

import pytest

from exai_ops.errors import CouldNotLook
from exai_ops.sem.flow import Flow
from exai_ops.sem.flow_model import Match
from exai_ops.sem.flow_twin import FlowTwin, Unread

from .flow_cases import CASES, SLOTS, Case
from .flow_programs import INTERPRETERS, Program, describe, flows, twin

versions = pytest.mark.parametrize("version", sorted(INTERPRETERS))


@cache
def cases(version: str) -> tuple[dict[str, Flow], Program]:
    """All cases, read by one interpreter."""
    source = "".join(
        f"def case_{number}():\n" + "".join(f"    {line}\n" for line in case.text.splitlines())
        for number, case in enumerate(CASES)
    )
    renamed = source
    for number in range(len(CASES)):
        head, mark, tail = renamed.partition(f"def case_{number}():\n")
        renamed = head + mark + tail.replace("def f(", f"def f{number}(", 1)
    program = describe(version, renamed)
    return flows(version, program), program


def found(version: str, case: Case) -> tuple[Flow, int]:
    """The flow of a case and where it stands."""
    all_flows, program = cases(version)
    name = next(n for n in all_flows if n.rpartition(".")[2] == f"f{CASES.index(case)}")
    return all_flows[name], program.marks[name]


@versions
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_held_and_ahead(version: str, case: Case) -> None:
    flow, mark = found(version, case)
    held = flow.held(mark, case.match)
    ahead = flow.ahead(mark, case.match)
    assert (held.least, held.most, held.with_least, held.with_most) == case.held
    assert (ahead.least, ahead.most, ahead.least_returning) == case.ahead


@versions
@pytest.mark.parametrize("case", [case for case in CASES if case.net], ids=lambda case: case.name)
def test_what_a_whole_call_does(version: str, case: Case) -> None:
    net = found(version, case)[0].net(case.match)
    assert (net.returns, net.raises) == case.net


# --- code as it is in memory ---

HOT = """
import types

@types.coroutine
def mark():
    yield

class Slots:
    async def acquire(self, x=None): return True
    def release(self): pass
    async def __aenter__(self): return self
    async def __aexit__(self, *exc): pass

class Owner:
    def __init__(self):
        self._slots = Slots(); self.n = 3; self.items = [0, 2, 2]; self.jobs = self

async def plain(self, wait=True):
    total = 0
    for number in range(40):
        total += number * 2 + len(self.items)
        if number > 2:
            self.n = total
    await self._slots.acquire()
    try:
        if wait:
            await mark()
    finally:
        self._slots.release()

async def block(self, wait=True):
    async with self._slots as slots:
        for item in self.items:
            if item == 2 and wait:
                await mark()

def sync(self, wait=True):
    pass

told = {}
def stand(name):
    owner = Owner()
    for _ in range(200):
        try:
            globals()[name](owner, False).send(None)
        except StopIteration:
            pass
    coro = globals()[name](owner, True)
    before = coro.cr_frame.f_lasti
    coro.send(None)
    told[name] = [before, coro.cr_frame.f_lasti]
    kept.append(coro)
kept = []
def close():
    for coro in kept:
        coro.close()
"""


@cache
def hot(version: str, more: str = "") -> tuple[dict[str, Flow], Program]:
    """Functions that have run long, and where coroutines of them really stand."""
    program = describe(version, HOT, f"{more}\nstand('plain'); stand('block')")
    return flows(version, program), program


@versions
def test_a_suspended_coroutine_of_hot_code(version: str) -> None:
    found, program = hot(version)
    for name, with_blocks in (("plain", 0), ("block", 1)):
        before, now = program.told[name]
        flow = found[name]
        held, ahead = flow.held(now, SLOTS), flow.ahead(now, SLOTS)
        assert (held.least, held.most) == (1 - with_blocks, 1 - with_blocks)
        assert (held.with_least, held.with_most) == (with_blocks, with_blocks)
        assert ahead.must is not bool(with_blocks)
        assert ahead.some("exit") is bool(with_blocks)
        assert "call" in {event.kind for event in flow.under_way(now)}
        assert flow.held(before, SLOTS).most == 0
        assert flow.ahead(before, SLOTS).owed is False


@versions
def test_hot_code_is_read_as_it_was_compiled(version: str) -> None:
    cold = describe(version, HOT)
    assert version == "3.10" or cold.requests["plain"].bytecode != hot(version)[1].requests["plain"].bytecode
    plain = flows(version, cold)
    for name, flow in hot(version)[0].items():
        if name in plain:
            assert (flow.events, flow.nodes, flow.closures) == (
                plain[name].events,
                plain[name].nodes,
                plain[name].closures,
            )


TRACED = """
import sys
mon = sys.monitoring
mon.use_tool_id(2, 'x')
every = mon.events.PY_START | mon.events.PY_RETURN | mon.events.PY_YIELD | mon.events.CALL
mon.set_events(2, every | mon.events.BRANCH | mon.events.JUMP)
"""


@pytest.mark.parametrize("version", sorted({"3.12", "3.13"} & INTERPRETERS.keys()))
def test_instrumented_code_is_read_as_it_was_compiled(version: str) -> None:
    found, plain = hot(version, TRACED)[0], hot(version)[0]
    for name in ("plain", "block"):
        assert (found[name].events, found[name].nodes) == (plain[name].events, plain[name].nodes)


@pytest.mark.parametrize("version", sorted({"3.12", "3.13"} & INTERPRETERS.keys()))
def test_a_traced_line_is_refused_unless_its_instruction_is_given(version: str) -> None:
    program = describe(
        version, HOT, TRACED.replace("mon.events.JUMP", "mon.events.LINE") + "\nstand('plain')"
    )
    request = program.requests["plain"]
    with twin(version) as asked:
        answer = asked.ask([request])["plain"]
        assert isinstance(answer, Unread)
        assert "INSTRUMENTED_LINE" in answer.why
        clean = describe(version, HOT).requests["plain"].bytecode
        original = {at: (clean[at], clean[at + 1]) for at in range(0, len(clean), 2)}
        given = asked.ask([replace(request, original=original)])["plain"]
    assert isinstance(given, Flow)
    assert given.events == hot(version)[0]["plain"].events


# --- events ---

HANDED = """
async def f(self, queue, loop, key, *, late=None):
    lease = await self.lease(key, size=2)
    await queue.put((lease, 1))
    loop.call_later(1, self._slots.release)
    give = functools.partial(self._slots.release)
    task.add_done_callback(lambda done, sem=self._slots: sem.release() or queue)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(self._slots)
        stack.callback(give)
    self.held[key] = lease
    self.on_close = self._slots.release
    return lease
"""


@versions
def test_what_is_handed_over(version: str) -> None:
    program = describe(version, HANDED)
    flow = flows(version, program)["f"]
    lease = ("local:self", "attr:lease", "call")
    slots = ("local:self", "attr:_slots")

    def said(kind: str) -> list[tuple[tuple[str, ...], ...]]:
        return [(event.path, *event.callees[:1]) for event in flow.events if event.kind == kind]

    assert (lease, ("local:queue", "attr:put")) in said("pass")
    assert said("release_given") == [
        (slots, ("local:loop", "attr:call_later")),
        (slots, ("global:functools", "attr:partial")),
        (slots, ("local:self", "attr:on_close")),
    ]
    assert [path for path, _ in said("enter_given")] == [slots]
    assert (
        ("global:functools", "attr:partial", "call"),
        ("global:AsyncExitStack", "call", "entered", "attr:callback"),
    ) in said("pass")
    (call,) = [event for event in flow.events if event.path == lease[:2]]
    assert (call.kind, call.args, call.keywords) == ("call", (("local:key",), ("const:2",)), ("size",))
    (item,) = [event for event in flow.events if event.kind == "store_item"]
    assert (item.path, item.args) == (("local:self", "attr:held", "item:local:key"), (lease,))
    (back,) = [event for event in flow.events if event.kind == "return" and event.path == lease]
    assert back.also == (("local:lease",),)
    (made,) = flow.closures
    assert (made.captured, made.defaults) == (("queue",), (slots,))
    assert ((f"code:{made.const}",), ("global:task", "attr:add_done_callback")) in said("pass")
    held = flow.held(item.offset, SLOTS)
    assert (held.least, held.most, held.given) == (0, 0, 2)


@versions
def test_a_variable_may_stand_for_a_part_of_itself(version: str) -> None:
    source = "def f(self):\n    while node:\n        node = node.next\n    node.sem.release()\n"
    flow = flows(version, describe(version, source))["f"]
    assert flow.net(Match.of({"sem"})).returns == frozenset({-1})


@versions
def test_a_closure_is_code_of_its_own(version: str) -> None:
    source = (
        "def f(sem):\n    async def give():\n        await mark()\n        sem.release()\n    return give\n"
    )
    program = describe(version, source)
    found = flows(version, program)
    name = next(name for name in found if name.endswith("give"))
    give = found[name]
    assert give.ahead(program.marks[name], Match.of({"free:sem"})).most == 1
    assert give.ahead(program.marks[name], Match.of({"sem"})).most == 1
    assert give.ahead(program.marks[name], Match.of({"local:sem"})).most == 0
    assert found["f"].closures[0].captured == ("sem",)


# --- the interpreter that is asked ---


def test_code_that_cannot_be_read_is_said_so_and_does_no_harm() -> None:
    version = next(iter(INTERPRETERS))
    good = describe(version, CASES[0].text).requests["f"]
    cases = {
        "empty": replace(good, code_id="empty", bytecode=b""),
        "junk": replace(good, code_id="junk", bytecode=b"\xfe\x00" * 9),
        "cut": replace(good, code_id="cut", bytecode=good.bytecode[: len(good.bytecode) // 2]),
        "names": replace(good, code_id="names", names=()),
        "long": replace(good, code_id="long", bytecode=b"\x09\x00" * 600_000),
    }
    with twin(version) as asked:
        answers = asked.ask([*cases.values(), good])
        assert isinstance(answers["f"], Flow)
        assert all(isinstance(answers[name], Unread) for name in ("empty", "junk", "names", "long"))
        assert isinstance(asked.ask([good])["f"], Flow)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["/nowhere/python"], "No such file"),
        (["/bin/false"], "exit code 1"),
        (["/bin/echo"], "something else"),
    ],
)
def test_what_is_no_interpreter(command: list[str], why: str) -> None:
    with FlowTwin(command) as asked, pytest.raises(CouldNotLook, match=why):
        asked.version()


def test_an_interpreter_that_dies_is_started_again() -> None:
    version = next(iter(INTERPRETERS))
    good = describe(version, CASES[0].text).requests["f"]
    with twin(version) as asked:
        first = asked.ask([good])["f"]
        assert asked._process is not None
        asked._process.kill()
        asked._process.wait()
        again = asked.ask([good])["f"]
    assert isinstance(first, Flow)
    assert isinstance(again, Flow)
    assert again.events == first.events


def test_no_answer_in_time() -> None:
    version = next(iter(INTERPRETERS))
    good = describe(version, CASES[0].text).requests["f"]
    with twin(version) as asked:
        asked.version()
        assert asked._process is not None
        os.kill(asked._process.pid, signal.SIGSTOP)
        answers = asked.ask([good, replace(good, code_id="g")], deadline_s=0.05)
        assert {answer.why for answer in answers.values() if isinstance(answer, Unread)} == {
            "no answer in time"
        }
        assert len(answers) == 2
