"""What is not over in a process, and what its code takes permits' stand-ins out of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exai_ops.sem.codes import CodeInfo
from exai_ops.sem.flow_twin import FlowTwin
from exai_ops.sem.passive.functions import Functions
from exai_ops.sem.passive.live import Live
from exai_ops.sem.passive.resolve import Resolver, Scope
from exai_ops.sem.passive.tokens import Tokens

from .targets import PYTHONS, Target, target

SOURCE = """
import collections, heapq, threading


class Shelf:
    def __init__(self):
        self.table = {"a": 1, "b": 2}
        self.rows = {1: ["x", "y"], 2: ["z"]}
        self.owners = {1: object(), 2: object()}
        self.batch = [1, 2, 3]
        self.heap = [(1, "a"), (2, "b")]
        self.queue = collections.deque("abcd")
        self.parked = 5
        self.failed = 6
        self.flag = True

    def by_table(self, key):
        self.table.pop(key)

    def by_rows(self):
        self.rows.clear()

    def by_delete(self, key):
        del self.owners[key]

    def by_batch(self):
        batch, self.batch = self.batch, []
        return batch

    def by_heap(self):
        return heapq.heappop(self.heap)

    def by_queue(self):
        return self.queue.popleft()

    def by_number(self):
        self.parked -= 1

    def by_reset(self):
        self.parked = 0

    def counts_up(self):
        self.failed += 1

    def looks(self):
        return self.table["a"], self.flag


shelf = Shelf()
go = threading.Event()


async def inner():
    await asyncio.sleep(3600)


async def outer():
    await inner()


async def ended():
    return None


def stuck():
    go.wait()


async def main():
    threading.Thread(target=stuck, daemon=True).start()
    tasks = [asyncio.create_task(outer(), name="busy"), asyncio.create_task(ended(), name="over")]
    alone = inner()
    await asyncio.sleep(0.01)
    codes = {n: id(f.__code__) for n, f in vars(Shelf).items() if hasattr(f, "__code__")}
    tell(shelf=id(shelf), codes=codes, globals=id(globals()), tasks=[id(t) for t in tasks], alone=id(alone),
         outer=id(tasks[0].get_coro()))
    await wait()


asyncio.run(main())
"""


@pytest.fixture(scope="module", params=PYTHONS)
def shelf(request: pytest.FixtureRequest) -> Iterator[Target]:
    with target(str(request.param), SOURCE) as found:
        yield found


def tokens(one: Target, method: str) -> list[tuple[str, int]]:
    objects = one.objects
    resolver = Resolver(objects)
    info = objects.code(one.known["codes"][method])
    assert isinstance(info, CodeInfo)
    with FlowTwin([one.process.exe]) as twin:
        flow = Functions(objects, resolver, twin).flow(info)
    assert flow is not None
    scope = Scope({"self": one.known["shelf"]}, one.known["globals"])
    return [(token.what, token.number) for token in Tokens(objects, resolver).of(scope, info, flow)]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("by_table", [("self.table", 3)]),
        ("by_rows", [("self.rows", 3)]),
        ("by_delete", [("self.owners", 2)]),
        ("by_batch", [("self.batch", 3)]),
        ("by_heap", [("self.heap", 2)]),
        ("by_queue", [("self.queue", 4)]),
        ("by_number", [("self.parked", 5)]),
        ("by_reset", [("self.parked", 5)]),
        ("counts_up", []),
        ("looks", []),
    ],
)
def test_what_code_takes_out_of_is_counted(
    shelf: Target, method: str, expected: list[tuple[str, int]]
) -> None:
    assert tokens(shelf, method) == expected


def read(one: Target) -> Live:
    live = Live(one.objects, one.frames)
    live.read(one.known["tasks"], [one.known["outer"], one.known["alone"]])
    return live


def test_a_pending_task_has_its_chain_and_one_that_is_over_has_none(shelf: Target) -> None:
    live = read(shelf)
    assert [info.name for info in live.tasks.values()] == ["busy"]
    assert [call.frame.info.name for call in live.calls if call.name == "busy"] == ["outer", "inner", "sleep"]
    assert {call.task for call in live.calls if call.name == "busy"} == {shelf.known["tasks"][0]}


def test_threads_are_calls_too(shelf: Target) -> None:
    live = read(shelf)
    names = {call.frame.info.name for call in live.calls if call.name.startswith("thread ")}
    assert {"main", "stuck"} & names
    assert live.threads >= 2


def test_a_call_is_named_once_and_says_what_drives_it(shelf: Target) -> None:
    calls = read(shelf).calls
    assert len({call.frame.owner for call in calls if call.frame.owner}) == sum(
        bool(call.frame.owner) for call in calls
    )
    assert all(call.driven for call in calls if call.name == "busy")
