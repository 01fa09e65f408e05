"""One pass that answers everything, and what is kept from one pass to the next."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.sem.memory import PAGE
from exai_ops.sem.objects import Objects
from exai_ops.sem.passive.live import Chains
from exai_ops.sem.referrers import References, find_referrers, is_entry
from exai_ops.sem.scatter import read_pages, runs
from exai_ops.sem.survey import Survey

from .targets import PYTHONS, Target, target

SOURCE = """
import collections, gc, threading


class Meta(type):
    pass


class Bag(metaclass=Meta):
    def __init__(self):
        self.kept = Thing()


class Child(Bag):
    pass


class Slim:
    __slots__ = ("held",)


class Thing:
    def release_it(self):
        return self.is_a_name_of_this_test


class Words(list):
    pass


def in_thread():
    class Local(Bag):
        pass
    made.append(Local())


made = []
thread = threading.Thread(target=in_thread)
thread.start()
thread.join()
bags = [Bag(), Child(), Child(), *made]
things = [bag.kept for bag in bags] + [Thing() for _ in range(5)]
slim = Slim()
slim.held = things[4]
table = {"entry": things[5]}
row = collections.deque([things[6]])
words = Words([things[7]])
group = {things[8]}


async def waits():
    await asyncio.get_running_loop().create_future()


def known():
    kinds = (Bag, Child, Thing, type(made[0]))
    everything = [one for one in gc.get_objects() if type(one) in kinds]
    return dict(
        kinds=[id(kind) for kind in kinds],
        instances={str(id(kind)): [id(one) for one in everything if type(one) is kind] for kind in kinds},
        things=[id(one) for one in things],
        name=id(Thing.release_it.__code__.co_names[0]),
        names=id(Thing.release_it.__code__.co_names),
        code=id(Thing.release_it.__code__),
        tasks=[id(task) for task in tasks],
    )


def more():
    global New
    made.clear()
    del bags[3:], things[3]
    gc.collect()
    New = type("New", (Child,), {})
    bags.append(New())
    tasks.pop().cancel()


async def main():
    tasks.extend(asyncio.create_task(waits()) for _ in range(40))
    await asyncio.sleep(0)
    tell(**known())
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        more()
        await asyncio.sleep(0)
        tell(new=id(New), instance=id(bags[-1]))


tasks = []
asyncio.run(main())
"""


@pytest.fixture(params=PYTHONS)
def seen(request: pytest.FixtureRequest) -> Iterator[Target]:
    with target(str(request.param), SOURCE) as found:
        yield found


def ask(one: Target) -> dict[str, Any]:
    """Let the program go on, and say what is new."""
    assert one.child.stdin is not None
    assert one.child.stdout is not None
    one.child.stdin.write("\n")
    one.child.stdin.flush()
    return dict(json.loads(one.child.stdout.readline()))


def survey(one: Target, *names: str, words: tuple[int, ...] = ()) -> Survey:
    found = Survey(one.objects, tables=True, codes=True)
    found.take(lambda: one.objects.named(*names), lambda: words)
    return found


def test_a_survey_finds_what_passes_of_their_own_do(seen: Target) -> None:
    name = seen.known["name"]
    found = survey(seen, "__main__.Bag", "__main__.Thing", words=(name,))
    for kind in seen.known["kinds"]:
        assert sorted(found.instances[kind]) == sorted(seen.known["instances"][str(kind)])
    assert sorted(found.places[name]) == sorted(seen.memory.find({name})[name])
    assert found.codes_with({seen.known["names"]}) == [seen.known["code"]]
    assert found.codes_with(set()) == []
    alone = Objects(seen.memory, seen.objects.layout)
    assert alone.types() == seen.objects.types()


def test_a_second_survey_knows_what_is_new_and_what_is_gone(seen: Target) -> None:
    survey(seen, "__main__.Bag")
    local = seen.known["kinds"][3]
    assert local in seen.objects.types()
    said = ask(seen)
    seen.objects.forget()
    found = survey(seen, "__main__.Bag")
    assert found.instances[said["new"]] == [said["instance"]]
    assert seen.objects.types()[said["new"]] == "__main__.New"
    assert seen.objects.types().get(local) != "__main__.in_thread.<locals>.Local"
    assert seen.objects.types() == Objects(seen.memory, seen.objects.layout).types()


def test_tables_of_a_survey_lead_to_the_same_referrers(seen: Target) -> None:
    things = seen.known["things"]
    noted = References(seen.objects, survey(seen, "__main__.Bag").tables)
    alone = find_referrers(seen.objects, things)
    found = noted.to(noted.places(things))
    dicts = {ref.owner for some in found.values() for ref in some if is_entry(ref)}
    holders = noted.holders_of(dicts)
    for thing in things:
        owners = {holders.get(ref.owner, ref.owner) for ref in found[thing]}
        assert owners == {ref.owner for ref in alone[thing]}
        assert owners


def test_chains_are_read_again_when_their_pages_have_changed(seen: Target) -> None:
    chains, tasks = Chains(seen.frames), seen.known["tasks"]
    chains.renew()
    before = {task: chains.of(task) for task in tasks}
    assert all(info is not None and len(chain) == 1 for info, chain in before.values())
    assert not seen.memory.renew()
    chains.renew()
    assert all(chains.of(task) is not None and chains.of(task)[1] is before[task][1] for task in tasks)
    ask(seen)
    assert seen.memory.renew()
    chains.renew()
    info, chain = chains.of(tasks[-1])
    assert (info is None or info.state != "pending", chain) == (True, ())
    assert [chains.of(task) for task in tasks[:-1]] == [before[task] for task in tasks[:-1]]


@given(st.sets(st.integers(0, 60)).map(sorted))
def test_runs_cover_each_number_once(numbers: list[int]) -> None:
    found = list(runs(numbers))
    assert [first + n for first, count in found for n in range(count)] == numbers
    assert all(one[0] + one[1] < two[0] for one, two in pairwise(found))


def test_pages_are_read_in_one_call_or_not_at_all() -> None:
    area = mmap.mmap(-1, 3000 * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area)) // PAGE
    for number in range(3000):
        area[number * PAGE] = number % 251
    wanted = [start + number for number in range(0, 3000, 2)]
    ends = {start, start + 2, start + 1000}
    found = read_pages(os.getpid(), wanted, {*ends, 1})
    assert found is not None
    assert [found[0][number][0] for number in wanted] == [number % 251 for number in range(0, 3000, 2)]
    assert found[1] == {number: found[0][number] for number in ends}
    assert read_pages(os.getpid(), [1, *wanted]) is None
    assert read_pages(os.getpid(), []) == ({}, {})
