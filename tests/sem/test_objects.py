from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from exai_ops.sem.layout import from_text, from_twin, to_text
from exai_ops.sem.memory import Memory
from exai_ops.sem.selfcheck import differences
from exai_ops.sem.twin import layout_of, twin

from .targets import PYTHONS, Target, target

SOURCE = """
import functools, gc, types, weakref
from collections import OrderedDict, deque


class Meta(type):
    pass


class Base(metaclass=Meta):
    __slots__ = ("slot", "unset")


class Child(Base):
    pass


class Bag:
    def method(self):
        pass


class Counter(int):
    pass


class Words(list):
    def __init__(self):
        self.note = "noted"


class Failure(Exception):
    pass


def holder(thing, default="given", *, key="word"):
    def inside():
        return thing

    return inside


async def deep(marked):
    await asyncio.get_running_loop().create_future()


thing = Bag()
child, bag, emptied, many = Child(), Bag(), Bag(), Bag()
child.slot, child.free = "in a slot", 5
bag.first, bag.second = thing, -1
bag.third = None
emptied.gone = 1
del emptied.gone
for number in range(200):
    setattr(many, f"name{number}", number)
opened = Bag()
opened.seen = thing
vars(opened)["added"] = 7
words, failure, counter = Words(), Failure("told"), Counter(41)
words.append(thing)
failure.carried = thing
table = {"text": thing, 5: thing, (1, "x"): thing, thing: "as a key"}
ordered = OrderedDict(one=thing)
queue = deque([None] * 200, maxlen=500)
queue[100] = thing
queue.appendleft(None)
inside = holder(thing)
part = functools.partial(print, thing, sep=thing)
bound, weak, members, frozen = bag.method, weakref.ref(thing), {thing, 1}, frozenset({thing})
module = types.ModuleType("fresh")
module.place = thing
Bag.shared = thing
coroutine = deep(thing)
nested = [[thing], (thing, 0)]
texts = ["", "ascii", "caf\u00e9", "\u0416\u0417", "\U0001f600", "x" * 5000]
numbers = [0, 1, -1, 255, 2**30, -(2**64), 3**100, True, False]
floats = [0.0, -1.5, 1e308]


async def main():
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    names = [n for n in globals() if not n.startswith("__")]
    tell(
        ids={n: id(globals()[n]) for n in names},
        texts=[[id(t), t] for t in texts],
        floats=[[id(f), f] for f in floats],
        numbers=[[id(n), str(int(n))] for n in numbers],
        cell=id(inside.__closure__[0]), nested=[id(n) for n in nested], func=id(bound.__func__),
        kwargs=id(part.keywords), args=id(part.args), code=id(holder.__code__), print=id(print),
        instances=[id(o) for o in gc.get_objects() if type(o) is Bag],
        main=id(globals()), future=id(task), moduledict=id(vars(module)),
    )
    await wait()


asyncio.run(main())
"""


@pytest.fixture(scope="module", params=PYTHONS)
def seen(request: pytest.FixtureRequest) -> Iterator[Target]:
    with target(request.param, SOURCE) as opened:
        yield opened


def test_texts_and_numbers(seen: Target) -> None:
    objects = seen.objects
    for address, text in seen.known["texts"]:
        assert objects.text(address) == text[:4096]
        assert objects.kind(address) == "str"
    for address, number in seen.known["numbers"]:
        assert str(objects.integer(address)) == number
    for address, value in seen.known["floats"]:
        assert objects.floating(address) == value
    assert objects.integer(seen.known["ids"]["counter"]) == 41
    assert objects.text(seen.known["ids"]["thing"]) is None
    assert objects.integer(seen.known["ids"]["thing"]) is None
    assert objects.floating(seen.known["ids"]["thing"]) is None


def test_kinds_and_names_of_types(seen: Target) -> None:
    objects, ids = seen.objects, seen.known["ids"]
    wanted = {
        "thing": "instance", "table": "dict", "ordered": "dict", "queue": "deque", "inside": "function",
        "part": "partial", "bound": "method", "weak": "weakref", "members": "set", "frozen": "set",
        "module": "module", "words": "list", "coroutine": "coroutine", "Bag": "type", "Base": "type",
        "nested": "list", "counter": "int", "tell": "function",
    }  # fmt: skip
    assert {name: objects.kind(ids[name]) for name in wanted} == wanted
    assert objects.kind(seen.known["cell"]) == "cell"
    assert objects.kind(seen.known["future"]) == "task"
    assert objects.kind(0) == objects.kind(8) == ""
    types = objects.types()
    assert types[ids["Bag"]] == "__main__.Bag"
    assert types[ids["Base"]] == "__main__.Base"  # made by a metaclass
    assert types[objects.type_of(ids["queue"])] == "collections.deque"
    assert types[objects.type_of(ids["table"])] == "dict"
    assert types[objects.type_of(ids["part"])] == "functools.partial"
    assert "asyncio.locks.Semaphore" in types.values()
    assert objects.subtypes(ids["Base"]) == {ids["Base"], ids["Child"]}
    assert objects.named("__main__.Base") == {ids["Base"], ids["Child"]}
    assert objects.mro(ids["Child"])[:2] == [ids["Child"], ids["Base"]]


def test_instances_are_all_found_and_nothing_else(seen: Target) -> None:
    ids = seen.known["ids"]
    found = seen.objects.instances({ids["Bag"], ids["Child"]})
    assert sorted(found[ids["Bag"]]) == sorted(seen.known["instances"])
    assert found[ids["Child"]] == [ids["child"]]


def test_liveness(seen: Target) -> None:
    for name, address in seen.known["ids"].items():
        assert seen.objects.is_live(address), name
    thing = seen.known["ids"]["thing"]
    for address in (0, 1, thing + 1, thing + 8, thing - 16, 1 << 46):
        assert not seen.objects.is_live(address)


def test_attributes_in_every_form(seen: Target) -> None:
    objects, ids = seen.objects, seen.known["ids"]
    held = objects.attributes(ids["bag"])
    assert list(held) == ["first", "second", "third"]
    assert (held["first"], objects.integer(held["second"]), held["third"]) == (ids["thing"], -1, objects.none)
    child = objects.attributes(ids["child"])
    assert child.keys() == {"slot", "free"}
    assert (objects.text(child["slot"]), objects.integer(child["free"])) == ("in a slot", 5)
    many = objects.attributes(ids["many"])
    assert [objects.integer(many[f"name{n}"]) for n in range(200)] == list(range(200))
    opened = objects.attributes(ids["opened"])
    assert (opened["seen"], objects.integer(opened["added"])) == (ids["thing"], 7)
    assert objects.text(objects.attributes(ids["words"])["note"]) == "noted"
    assert objects.attributes(ids["failure"])["carried"] == ids["thing"]
    assert objects.attributes(ids["emptied"]) == objects.attributes(ids["thing"]) == {}


def test_containers(seen: Target) -> None:
    objects, ids = seen.objects, seen.known["ids"]
    thing = ids["thing"]
    items = objects.dict_items(ids["table"])
    assert [value for _, value in items][:3] == [thing] * 3
    assert objects.text(items[0][0]) == "text"
    assert objects.integer(items[1][0]) == 5
    assert items[3][0] == thing
    assert [objects.text(key) for key, _ in objects.dict_items(ids["ordered"])] == ["one"]
    assert objects.sequence(ids["nested"]) == seen.known["nested"]
    assert thing in objects.sequence(ids["members"])
    assert objects.sequence(ids["frozen"]) == [thing]
    queue = objects.sequence(ids["queue"])
    assert (len(queue), queue.index(thing), set(queue)) == (201, 101, {thing, objects.none})
    assert objects.sequence(thing) == []
    assert objects.dict_items(thing) == []


def test_callables(seen: Target) -> None:
    objects, ids = seen.objects, seen.known["ids"]
    assert objects.cell(seen.known["cell"]) == ids["thing"]
    assert objects.method(ids["bound"]) == (ids["bag"], seen.known["func"])
    function = objects.function(ids["inside"])
    assert function is not None
    assert (function.closure, function.globals) == ((seen.known["cell"],), seen.known["main"])
    assert function.qualname == "holder.<locals>.inside"
    known = seen.known
    assert objects.partial(ids["part"]) == (known["print"], known["args"], known["kwargs"])
    assert objects.builtin(known["print"]) is not None
    assert objects.weak_reference(ids["weak"]) == ids["thing"]
    assert objects.module_dict(ids["module"]) == seen.known["moduledict"]
    code = objects.code(seen.known["code"])
    assert code is not None
    assert (code.name, code.varnames, code.filename) == (
        "holder",
        ("thing", "default", "key", "inside"),
        "<string>",
    )
    assert code.cellvars == ("thing",)
    for nothing in (0, ids["thing"], ids["table"]):
        for ask in (objects.method, objects.function, objects.partial, objects.code, objects.builtin):
            assert ask(nothing) is None
        assert objects.cell(nothing) == objects.weak_reference(nothing) == objects.module_dict(nothing) == 0


def test_referrers_are_named(seen: Target) -> None:
    ids = seen.known["ids"]
    found = {(ref.owner, ref.how) for ref in seen.objects.referrers([ids["thing"]])[ids["thing"]]}
    first, second = seen.known["nested"]
    wanted = {
        (ids["bag"], "attr:first"), (ids["opened"], "attr:seen"), (ids["failure"], "attr:carried"),
        (ids["words"], "index:0"), (ids["table"], "key:'text'"), (ids["table"], "key:5"),
        (ids["table"], "key:(1, 'x')"), (ids["table"], "key"), (ids["ordered"], "key:'one'"),
        (ids["queue"], "index:101"), (seen.known["cell"], "cell"),
        (ids["members"], "item"), (ids["frozen"], "item"),
        (ids["module"], "attr:place"), (ids["Bag"], "attr:shared"), (ids["coroutine"], "local:marked"),
        (first, "index:0"), (second, "index:0"), (ids["weak"], "weak"), (seen.known["args"], "index:0"),
        (seen.known["kwargs"], "key:'sep'"),
    }  # fmt: skip
    assert wanted <= found
    bag = {(ref.owner, ref.how) for ref in seen.objects.referrers([ids["bag"]])[ids["bag"]]}
    assert (ids["bound"], "self") in bag
    assert seen.objects.referrers([]) == {}
    assert seen.objects.referrers([0]) == {}


def test_garbage_gives_nothing_and_raises_nothing(seen: Target) -> None:
    chance = random.Random(7)
    maps = [one for one in seen.memory.maps() if one.is_writable_private]
    objects, frames = seen.objects, seen.frames
    for _ in range(400):
        one = chance.choice(maps)
        address = one.start + chance.randrange(0, one.size, 8)
        for ask in (
            objects.attributes, objects.text, objects.integer, objects.dict_items, objects.sequence,
            objects.code, objects.function, objects.method, objects.partial, objects.kind,
            objects.is_live, objects.builtin, frames.coroutine_frame, frames.awaits, frames.chain,
            frames.task, frames.future,
        ):  # fmt: skip
            ask(address)


@pytest.mark.parametrize("python", PYTHONS)
def test_the_twin_reads_as_it_is(python: str) -> None:
    with target(python, "tell()\nsys.stdin.read()") as one, twin(one.process) as (pid, found):
        layout = from_twin(found["layout"])
        assert from_text(to_text(layout, "b"), "b") == layout
        with Memory(pid) as memory:
            assert len(found["truth"]) > 50
            assert differences(memory, layout, found["truth"]) == []


@pytest.mark.parametrize(
    ("field", "step"),
    [("co_names", 8), ("tp_mro", 8), ("list_items", -8), ("task_coro", 8), ("str_ascii", 8)],
)
def test_a_wrong_offset_is_found_out(field: str, step: int) -> None:
    with target(PYTHONS[0], "tell()\nsys.stdin.read()") as one, twin(one.process) as (pid, found):
        found["layout"][field] += step
        with Memory(pid) as memory:
            assert differences(memory, from_twin(found["layout"]), found["truth"])


def test_a_layout_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with target(PYTHONS[0], "tell()\nsys.stdin.read()") as one:
        first = layout_of(one.process, cache=tmp_path)
        monkeypatch.setattr("exai_ops.sem.twin.twin", None)
        assert layout_of(one.process, cache=tmp_path) == first == one.objects.layout
    assert [path.name for path in tmp_path.iterdir()] == [f"{one.process.build}.json"]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", encoding="utf-8")
    with target(PYTHONS[0], "tell()\nsys.stdin.read()") as one:
        assert layout_of(one.process, cache=blocked) == one.objects.layout


def _kept(said: str) -> str:
    """A cached file of build ``b`` with this in it, and a digest that is right."""
    digest = hashlib.sha256(("b\n" + said).encode("utf-8", "replace")).hexdigest()
    return f"{digest}\n{said}\n"


@pytest.mark.parametrize(
    "said",
    [
        "", "{}", "[]", "null", '{"schema": 0}', '{"schema": 5, "layout": {}}', "\ud800", "[" * 100_000,
        '{"schema": 5, "layout": {"version": []}}',
    ],
)  # fmt: skip
def test_a_broken_layout_is_not_read(said: str) -> None:
    assert from_text(said, "b") is None
    assert from_text(_kept(said), "b") is None


def test_a_layout_that_was_damaged_is_asked_for_again(tmp_path: Path) -> None:
    """An offset that is a little off would read nothing where there is something, and find all well."""
    with target(PYTHONS[0], "tell()\nsys.stdin.read()") as one:
        layout = layout_of(one.process, cache=tmp_path)
        (file,) = tmp_path.iterdir()
        good = file.read_text(encoding="utf-8")
        for text in (
            good.replace('"str_state": ', '"str_state": 1'),
            good.replace('"static_types": {', '"static_types": {}, "other": {'),
            good[: len(good) // 2],
            to_text(layout, "another build"),
            "[" * 100_000,
        ):
            assert text != good
            file.write_text(text, encoding="utf-8")
            assert layout_of(one.process, cache=tmp_path) == layout
            assert file.read_text(encoding="utf-8") == good


def test_a_cache_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    with target(PYTHONS[0], "tell()\nsys.stdin.read()") as one:
        file = tmp_path / f"{one.process.build}.json"
        os.mkfifo(file)
        assert layout_of(one.process, cache=tmp_path) == one.objects.layout
        file.unlink()
        file.symlink_to("/dev/zero")
        assert layout_of(one.process, cache=tmp_path) == one.objects.layout
        file.unlink()
        file.mkdir()
        assert layout_of(one.process, cache=tmp_path) == one.objects.layout
    assert list(tmp_path.iterdir()) == [file]
