from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from exai_ops.sem.codes import Handler, parse_exceptions
from exai_ops.sem.frames import Frames

from .targets import PYTHONS, Target, target

SOURCE = """
import dis, threading, time, types


class Wrapped:
    def __init__(self, inner):
        self.inner = inner

    def __await__(self):
        return self.inner.__await__()


@types.coroutine
def old_style(future):
    return (yield from future)


async def leaf(sem, future):
    async with sem:
        value = await future
        return value


async def middle(sem, future):
    try:
        return await leaf(sem, future)
    finally:
        sem = None


async def through_generator(future):
    return await old_style(future)


async def through_object(sem, future):
    await Wrapped(leaf(sem, future))


async def stream(sem, future):
    async with sem:
        yield 1
        await future


async def reader(sem, future):
    async for _ in stream(sem, future):
        pass


async def waiter(sem):
    async with sem:
        pass


async def pauses(sem):
    async with sem:
        yield 1


def counts():
    total = 5
    yield total
    yield total + 1


def captured(value):
    async def inner():
        await asyncio.get_running_loop().create_future()
        return value

    return inner()


def blocks(lock, event):
    here = "in the thread"
    with lock:
        event.wait()


async def main():
    loop = asyncio.get_running_loop()
    sem, full = asyncio.BoundedSemaphore(9), asyncio.Semaphore(1)
    await full.acquire()
    futures = [loop.create_future() for _ in range(6)]
    make = asyncio.create_task
    tasks = dict(
        plain=make(middle(sem, futures[0]), name="plain"), generator=make(through_generator(futures[1])),
        object=make(through_object(sem, futures[2])), stream=make(reader(sem, futures[3])),
        waiter=make(waiter(full)), captured=make(captured(futures[5])),
    )
    paused = pauses(sem)
    await paused.__anext__()
    number, fresh = counts(), counts()
    next(number)
    spent = counts()
    list(spent)
    lock, event, ready = threading.Lock(), threading.Event(), threading.Event()
    thread = threading.Thread(target=blocks, args=(lock, event), daemon=True)
    thread.start()
    done, cancelled, failed = (loop.create_future() for _ in range(3))
    done.set_result(futures)
    cancelled.cancel()
    called = [lambda _: None, sem.release, lambda _: None]
    for call in called:
        futures[4].add_done_callback(call)
    named = make(leaf(sem, futures[4]), name="given name")
    for _ in range(4):
        await asyncio.sleep(0)
    while not lock.locked():
        time.sleep(0)
    stack = named.get_coro().cr_frame
    tell(
        tasks={n: id(t) for n, t in tasks.items()},
        names={id(t): t.get_name() for t in tasks.values()},
        coroutines={n: id(t.get_coro()) for n, t in tasks.items()},
        locals={n: id(v) for n, v in stack.f_locals.items()},
        futures=[id(f) for f in futures], called=[id(c) for c in called[:1]],
        counts=[id(number), id(fresh), id(spent)], main=threading.get_native_id(),
        thread=thread.native_id,
        sem=id(sem), full=id(full), paused=id(paused), done=id(done), cancelled=id(cancelled),
        named=id(named), lasti=stack.f_lasti, line=stack.f_lineno, code=id(stack.f_code), lock=id(lock),
        loop=id(loop),
        acquire=id(asyncio.Semaphore.acquire.__code__),
    )
    await wait()


asyncio.run(main())
"""


@pytest.fixture(scope="module", params=PYTHONS)
def seen(request: pytest.FixtureRequest) -> Iterator[Target]:
    with target(request.param, SOURCE) as opened:
        yield opened


def names(frames: Frames, address: int) -> list[str]:
    return [frame.info.name for frame in frames.chain(address)]


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        ("plain", ["middle", "leaf"]),
        ("generator", ["through_generator", "old_style"]),
        ("object", ["through_object", "leaf"]),
        ("stream", ["reader", "stream"]),
        ("captured", ["inner"]),
    ],
)
def test_the_chain_leads_to_what_a_task_waits_in(seen: Target, task: str, wanted: list[str]) -> None:
    assert names(seen.frames, seen.known["tasks"][task]) == wanted
    assert names(seen.frames, seen.known["coroutines"][task]) == wanted


def test_a_task_says_what_it_is(seen: Target) -> None:
    known, frames = seen.known, seen.frames
    for label, address in known["tasks"].items():
        task = frames.task(address)
        assert task is not None
        assert (task.state, task.coroutine, task.loop) == (
            "pending",
            known["coroutines"][label],
            known["loop"],
        )
        assert task.name == known["names"][str(address)]
    plain = frames.task(known["tasks"]["plain"])
    assert plain is not None
    assert (plain.name, plain.waits_for) == ("plain", known["futures"][0])
    assert frames.task(known["sem"]) is None
    assert frames.future(known["sem"]) is None


def test_futures(seen: Target) -> None:
    known, frames = seen.known, seen.frames
    future, done, gone = (frames.future(a) for a in (known["futures"][4], known["done"], known["cancelled"]))
    assert future is not None
    assert done is not None
    assert gone is not None
    assert (future.state, done.state, gone.state) == ("pending", "done", "cancelled")
    assert future.callbacks[0] == known["called"][0]
    assert len(future.callbacks) == 4
    bound = seen.objects.method(future.callbacks[1])
    assert bound is not None
    assert bound[0] == known["sem"]
    assert seen.objects.sequence(done.result) == known["futures"]


def test_a_frame_is_where_the_interpreter_says(seen: Target) -> None:
    known = seen.known
    frame = seen.frames.chain(known["named"])[0]
    assert (frame.code, frame.lasti, frame.line) == (known["code"], known["lasti"], known["line"])
    assert frame.locals == known["locals"]
    assert frame.exact
    bound = [seen.objects.method(one) for one in frame.stack]
    assert [one[0] for one in bound if one] == [known["sem"]]
    assert seen.frames.awaits(frame.owner) == known["futures"][4]


def test_a_waiter_is_inside_acquire(seen: Target) -> None:
    chain = seen.frames.chain(seen.known["tasks"]["waiter"])
    assert chain[0].info.name == "waiter"
    inner = next(frame for frame in chain if frame.info.name == "acquire")
    assert inner.code == seen.known["acquire"]
    assert inner.locals["self"] == seen.known["full"]


def test_generators(seen: Target) -> None:
    known, frames = seen.known, seen.frames
    number, fresh, spent = (frames.coroutine_frame(one) for one in known["counts"])
    assert number is not None
    assert seen.objects.integer(number.locals["total"]) == 5
    assert fresh is not None
    assert fresh.locals == {}
    assert spent is None
    paused = frames.coroutine_frame(known["paused"])
    assert paused is not None
    assert frames.awaits(known["paused"]) is None  # at a yield, nothing is awaited
    assert any(one and one[0] == known["sem"] for one in map(seen.objects.method, paused.stack))


def test_what_lies_in_a_cell_is_given_without_it(seen: Target) -> None:
    frame = seen.frames.chain(seen.known["tasks"]["captured"])[0]
    assert frame.locals["value"] == seen.known["futures"][5]


def test_threads(seen: Target) -> None:
    known = seen.known
    threads = {thread.native: thread for thread in seen.frames.threads()}
    assert {known["main"], known["thread"]} <= threads.keys()
    frames = threads[known["thread"]].frames
    inner = next(frame for frame in frames if frame.info.name == "blocks")
    assert inner.locals["lock"] == known["lock"]
    assert seen.objects.text(inner.locals["here"]) == "in the thread"
    exits = [seen.objects.builtin(one) for one in inner.stack]
    assert (known["lock"], "__exit__") in exits or (known["lock"], "release") in exits
    assert "main" not in [frame.info.name for frame in threads[known["main"]].frames]
    assert threads[known["main"]].frames[-1].info.name in {"<module>", "<interpreter trampoline>"}


def test_a_stopped_process_reads_the_same(seen: Target) -> None:
    os.kill(seen.pid, signal.SIGSTOP)
    try:
        seen.objects.forget()
        assert names(seen.frames, seen.known["tasks"]["plain"]) == ["middle", "leaf"]
    finally:
        os.kill(seen.pid, signal.SIGCONT)


CHURN = """
import gc


class Leaf:
    pass


async def work(sem):
    async with sem:
        made = [Leaf() for _ in range(30)]
        for one in made:
            one.kept = [made]
        await asyncio.sleep(0)


async def forever(sem):
    while True:
        await asyncio.gather(*(asyncio.create_task(work(sem)) for _ in range(10)))


async def main():
    sems = [asyncio.BoundedSemaphore(3) for _ in range(8)]
    tell(sems=[id(sem) for sem in sems])
    await asyncio.gather(*map(forever, sems))


asyncio.run(main())
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_a_process_that_changes_at_full_speed(python: str) -> None:
    with target(python, CHURN) as one:
        objects, frames = one.objects, one.frames
        for _ in range(5):
            objects.forget()
            found = objects.instances(objects.named("asyncio.locks.Semaphore"))
            assert sorted(a for group in found.values() for a in group) == sorted(one.known["sems"])
            kinds = {
                kind
                for kind in objects.types()
                if objects.kind_of_type(kind) in {"task", "coroutine", "method"}
            }
            for address in [a for group in objects.instances(kinds).values() for a in group]:
                frames.task(address)
                frames.chain(address)
                objects.attributes(address)
            for address in one.known["sems"]:
                assert objects.attributes(address).keys() >= {"_value", "_bound_value", "_waiters"}
            frames.threads()
            objects.referrers(one.known["sems"])
        assert one.child.poll() is None


TRACED = """
async def hold(sem, future):
    async with sem:
        value = await future
    return value


async def main():
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(hold(asyncio.Semaphore(1), loop.create_future()))
    await asyncio.sleep(0)
    tell(task=id(task), code=id(hold.__code__), bytecode=hold.__code__.co_code.hex())
    await wait()


def trace(frame, event, argument):
    return trace


sys.settrace(trace)
asyncio.run(main())
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_a_process_under_a_tracer_reads_as_its_own_code(python: str) -> None:
    with target(python, TRACED) as one:
        info = one.objects.code(one.known["code"])
        assert info is not None
        assert info.bytecode.hex() == one.known["bytecode"]
        (frame,) = one.frames.chain(one.known["task"])
        assert (frame.info.name, frame.line - info.firstlineno) == ("hold", 2)


def test_an_exception_table() -> None:
    assert parse_exceptions(bytes([0x80 | 2, 5, 0x40 | 1, 3, 7])) == (Handler(4, 14, 134, 3, True),)
    assert parse_exceptions(b"") == ()
