"""The ledger: its invariant under every interleaving, leaks named exactly, fairness, refusals at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exai_ops.daemon.permits import GONE_GRACE_S, Entry, Hold, Ledger, Limits, Owner
from exai_ops.errors import OverCapacity

SMALL = Limits(
    total=3,
    providers={"kimi": 2, "glm": 1},
    session=2,
    queue=3,
    queue_bytes=250,
    wait_s=10.0,
    hold_s=100.0,
    retry_after_s=1.0,
)


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still until it is told, and which takes one turn at a time."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def turn(self) -> None:
        self.call_soon(self.stop)
        self.run_forever()

    def settle(self) -> None:
        for _ in range(30):
            self.turn()


class Client:
    """A task that takes a permit and does what it is told while it holds it."""

    def __init__(self, ledger: Ledger, loop: Loop, session: str, provider: str | None, size: int) -> None:
        self.owner = Owner(session, "r", "t", size_bytes=size)
        self.provider = provider
        self.orders: asyncio.Queue[str] = asyncio.Queue()
        self.hold: Hold | None = None
        self.inside = False
        self.switching = False
        self.cancelled = False
        self.refused = False
        self.asked_at = loop.now
        self.task = loop.create_task(self._run(ledger, loop))

    async def _run(self, ledger: Ledger, loop: Loop) -> None:
        self.asked_at = loop.now
        try:
            async with ledger.hold(self.owner, self.provider) as hold:
                self.hold, self.inside = hold, True
                try:
                    await self._obey(hold)
                finally:
                    self.inside = False
        except OverCapacity:
            self.refused = True

    async def _obey(self, hold: Hold) -> None:
        while (order := await self.orders.get()) != "leave":
            if order == "fail":
                raise OverCapacity("failed inside", retry_after_s=1)
            self.switching = True
            try:
                await hold.use(order)
            finally:
                self.switching = False

    @property
    def entry(self) -> Entry:
        assert self.hold is not None
        return self.hold.entry


clients = st.integers(0, 1000)
providers = st.sampled_from([None, "kimi", "glm"])


class LedgerMachine(RuleBasedStateMachine):
    """Every rule but ``turn`` and ``settle`` leaves the loop standing, so that orders meet in one turn."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.ledger = Ledger(SMALL, clock=self.loop.time)
        self.clients: list[Client] = []

    def pick(self, n: int) -> Client:
        return self.clients[n % len(self.clients)]

    def some(self) -> bool:
        return bool(self.clients)

    @rule(session=st.sampled_from("abc"), provider=providers, size=st.sampled_from([0, 60, 100, 240, 300]))
    def take(self, session: str, provider: str | None, size: int) -> None:
        self.clients.append(Client(self.ledger, self.loop, session, provider, size))

    @precondition(some)
    @rule(n=clients, order=st.sampled_from(["leave", "leave", "fail", "kimi", "glm"]))
    def order(self, n: int, order: str) -> None:
        self.pick(n).orders.put_nowait(order)

    @precondition(some)
    @rule(n=clients)
    def cancel(self, n: int) -> None:
        client = self.pick(n)
        client.cancelled = True
        client.task.cancel()

    @precondition(some)
    @rule(n=clients)
    def cancel_whom_a_leaving_one_lets_in(self, n: int) -> None:
        """In the instant between the grant and the wake-up, which a random order seldom meets."""
        self.pick(n).orders.put_nowait("leave")
        for _ in range(4):
            self.loop.turn()
            granted = {entry.task for entry in self.ledger.entries.values()}
            for client in self.clients:
                if client.task in granted and not client.inside:
                    client.cancelled = True
                    client.task.cancel()
                    return

    @precondition(some)
    @rule(n=clients)
    def connection_goes(self, n: int) -> None:
        client = self.pick(n)
        if client.owner.gone_since is None:
            client.owner.gone_since = self.loop.now

    @rule()
    def turn(self) -> None:
        self.loop.turn()

    @rule(seconds=st.sampled_from([0.5, 2.0, 10.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.loop.now += seconds

    @rule()
    def settle(self) -> None:
        self.loop.settle()
        waiting = [c for c in self.clients if not (c.task.done() or c.inside)]
        assert self.ledger.waiting_bytes == sum(c.owner.size_bytes for c in waiting)
        for client in self.clients:
            if not client.task.done():
                assert not client.cancelled
                if not client.inside:
                    assert self.loop.now < client.asked_at + SMALL.wait_s
                    assert not self.room_for(client), "a permit is free and a call waits for it"
                elif client.switching:
                    assert client.entry.provider is None

    def room_for(self, client: Client) -> bool:
        inside = [c for c in self.clients if c.inside]
        of_provider = sum(c.entry.provider == client.provider for c in inside)
        return (
            len(inside) < SMALL.total
            and sum(c.owner.session_id == client.owner.session_id for c in inside) < SMALL.session
            and (client.provider is None or of_provider < SMALL.providers[client.provider])
        )

    @invariant()
    def whole(self) -> None:
        assert self.ledger.broken() == []
        usage = self.ledger.usage()
        assert all(row["held"] + row["free"] == row["limit"] for row in usage.values())
        assert usage["global"]["held"] == self.ledger.held == len(self.ledger.entries)
        inside = [c for c in self.clients if c.inside]
        assert len(inside) <= self.ledger.held <= SMALL.total
        for name, limit in SMALL.providers.items():
            assert sum(c.entry.provider == name for c in inside) <= usage[name]["held"] <= limit
        for row in self.ledger.sessions().values():
            assert row["held"] <= SMALL.session
        assert 0 <= self.ledger.waiting_bytes <= SMALL.queue_bytes

    @invariant()
    def leaks_are_named_exactly(self) -> None:
        expected = {}
        for entry in self.ledger.entries.values():
            assert entry.task is not None
            if entry.task.done():
                expected[entry.number] = "owner done"
            elif self.loop.now >= entry.taken_at + SMALL.hold_s:
                expected[entry.number] = "deadline passed"
            elif (
                entry.owner.gone_since is not None and self.loop.now - entry.owner.gone_since >= GONE_GRACE_S
            ):
                expected[entry.number] = "connection gone"
        assert {entry.number: reason for entry, reason in self.ledger.leaks()} == expected
        assert "owner done" not in expected.values()

    def teardown(self) -> None:
        try:
            for client in self.clients:
                client.task.cancel()
            self.loop.settle()
            assert all(client.task.done() for client in self.clients)
            assert self.ledger.broken() == []
            assert (self.ledger.held, self.ledger.waiting, self.ledger.entries) == (0, 0, {})
            assert self.ledger.sessions() == {}
            assert self.ledger.waiting_bytes == 0
        finally:
            self.loop.close()


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


# --- single promises -----------------------------------------------------------------------------


def limits(**fields: Any) -> Limits:
    base: dict[str, Any] = {
        "total": 4,
        "providers": {"kimi": 2, "glm": 1},
        "session": 4,
        "queue": 10,
        "wait_s": 30.0,
        "hold_s": 60.0,
        "retry_after_s": 1.0,
    }
    return Limits(**(base | fields))


def owner(session: str = "a", request: str = "r") -> Owner:
    return Owner(session, request, "tool")


async def turns(n: int = 5) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


async def hold_until(ledger: Ledger, who: Owner, provider: str | None, leave: asyncio.Event) -> None:
    async with ledger.hold(who, provider):
        await leave.wait()


async def test_a_full_queue_refuses_at_once_and_says_what_is_held() -> None:
    ledger = Ledger(limits(total=1, queue=2))
    leave = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for i in range(3):
            tasks.create_task(hold_until(ledger, owner(request=str(i)), "kimi", leave))
        await turns()
        assert (ledger.held, ledger.waiting) == (1, 2)
        refused = tasks.create_task(_refusal(ledger, owner(request="one too many"), "kimi"))
        await turns(2)
        assert refused.done()
        assert refused.result().retry_after_s == 1.0
        for part in ("full", "global 1/1", "kimi 1/2", "2 waiting"):
            assert part in refused.result().message
        leave.set()
    assert (ledger.held, ledger.waiting, ledger.refused) == (0, 0, 1)


async def _refusal(ledger: Ledger, who: Owner, provider: str | None) -> OverCapacity:
    with pytest.raises(OverCapacity) as caught:
        async with ledger.hold(who, provider):
            pass
    return caught.value


async def test_another_session_gets_a_place_in_the_queue_of_a_crowd() -> None:
    ledger = Ledger(limits(total=1, queue=3))
    leave = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for i in range(3):
            tasks.create_task(hold_until(ledger, owner(request=str(i)), "kimi", leave))
        newest = tasks.create_task(_refusal(ledger, owner(request="newest"), "kimi"))
        await turns()
        other = tasks.create_task(hold_until(ledger, owner("b"), "kimi", leave))
        await turns()
        assert newest.done()
        assert "most calls" in newest.result().message
        assert not other.done()
        assert ledger.waiting == 3
        leave.set()


@pytest.mark.parametrize("provider", ["glm", None])
async def test_a_queue_full_for_one_provider_does_not_refuse_a_call_that_has_room(
    provider: str | None,
) -> None:
    ledger = Ledger(limits(queue=2))
    leave, inside = asyncio.Event(), asyncio.Event()

    async def served() -> None:
        async with ledger.hold(owner("b"), provider):
            inside.set()

    async with asyncio.TaskGroup() as tasks:
        held = [
            tasks.create_task(hold_until(ledger, owner(s, str(i)), "kimi", leave))
            for i, s in enumerate("aabc")
        ]
        await turns()
        assert ledger.waiting == 2
        tasks.create_task(served())
        await turns()
        assert inside.is_set()
        assert not any(task.done() for task in held)
        leave.set()


SIZES = [  # sizes of the calls that wait, by session; of the newcomer; who is refused
    ([("a", 40), ("a", 40)], ("b", 20), []),
    ([("a", 40), ("a", 60)], ("b", 20), ["a1"]),
    ([("a", 20), ("a", 60), ("b", 20)], ("b", 30), ["a1"]),
    ([("a", 30), ("a", 30), ("a", 30)], ("b", 60), ["a1", "a2"]),
    ([("a", 60), ("b", 40)], ("b", 30), ["new"]),  # it would hold more than the other
    ([("a", 50), ("a", 50)], ("a", 1), ["new"]),
    ([("a", 60), ("c", 40)], ("b", 90), ["new"]),  # nobody is refused for it in vain
    ([], ("a", 101), ["new"]),
    ([], ("a", 100), []),
    ([("a", 0), ("a", 100)], ("b", 0), []),
]


@pytest.mark.parametrize(("before", "newcomer", "refused"), SIZES)
async def test_waiting_calls_hold_bytes_up_to_a_limit(
    before: list[tuple[str, int]], newcomer: tuple[str, int], refused: list[str]
) -> None:
    ledger = Ledger(limits(total=1, queue_bytes=100))
    names = [f"{session}{n}" for n, (session, _) in enumerate(before)]
    found: dict[str, str] = {}

    async def call(name: str, session: str, size: int) -> None:
        try:
            async with ledger.hold(Owner(session, name, "tool", size_bytes=size), "kimi"):
                pass
        except OverCapacity as refusal:
            found[name] = refusal.message

    async with asyncio.TaskGroup() as tasks, ledger.hold(owner("holder"), None):
        for name, (session, size) in zip([*names, "new"], [*before, newcomer], strict=True):
            tasks.create_task(call(name, session, size))
            await turns()
        assert sorted(found) == refused
        assert all("the queue is full, 100 bytes" in message for message in found.values())
        left = sum(size for name, (_, size) in zip(names, before, strict=True) if name not in found)
        assert ledger.waiting_bytes == left + (0 if "new" in found else newcomer[1])
    assert (ledger.waiting_bytes, ledger.waiting) == (0, 0)


async def test_no_queue_means_a_permit_or_a_refusal() -> None:
    ledger = Ledger(limits(total=1, queue=0))
    async with ledger.hold(owner(), None):
        assert (await _refusal(ledger, owner("b"), None)).retry_after_s == 1.0
    async with ledger.hold(owner("b"), None):
        pass


async def test_the_wait_is_bounded() -> None:
    ledger = Ledger(limits(total=1, wait_s=0.02))
    async with ledger.hold(owner(), None), asyncio.timeout(5):
        refusal = await _refusal(ledger, owner("b"), None)
    assert "0.02 s" in refusal.message
    assert ledger.held == 0


async def test_cancelled_between_grant_and_wake_up_gives_the_permit_on() -> None:
    """The defect of ``wait_for(acquire())`` and a flag set afterwards: the permit was lost here."""
    ledger = Ledger(limits(total=1))
    done = asyncio.Event()
    async with ledger.hold(owner("a"), "kimi"):
        second = asyncio.create_task(hold_until(ledger, owner("b"), "kimi", done))
        third = asyncio.create_task(hold_until(ledger, owner("c"), "kimi", done))
        await turns()
    # The permit has been granted to the second, which has not run since.
    assert [entry.owner.session_id for entry in ledger.holders()] == ["b"]
    second.cancel()
    await turns()
    assert second.cancelled()
    assert [entry.owner.session_id for entry in ledger.holders()] == ["c"]
    done.set()
    await third
    assert (ledger.held, ledger.broken()) == (0, [])


async def test_switching_gives_back_before_it_waits() -> None:
    """Two calls that change places do not wait for each other."""
    ledger = Ledger(limits(providers={"kimi": 1, "glm": 1}))
    ready: asyncio.Queue[None] = asyncio.Queue()
    go = asyncio.Event()

    async def change(who: Owner, before: str, after: str) -> None:
        async with ledger.hold(who, before) as hold:
            ready.put_nowait(None)
            await go.wait()
            await hold.use(after)
            await hold.use(after)
            assert hold.entry.provider == after

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(change(owner("a"), "kimi", "glm"))
        tasks.create_task(change(owner("b"), "glm", "kimi"))
        for _ in range(2):
            await ready.get()
        go.set()
    assert (ledger.held, ledger.broken()) == (0, [])


async def test_an_expired_switch_leaves_the_rest_held() -> None:
    ledger = Ledger(limits(wait_s=0.02))
    async with ledger.hold(owner("a"), "glm"), ledger.hold(owner("b"), "kimi") as hold:
        with pytest.raises(OverCapacity):
            await hold.use("glm")
        assert hold.entry.provider is None
        assert ledger.usage()["kimi"]["held"] == 0
        assert ledger.held == 2
        await hold.use("kimi")
    assert (ledger.held, ledger.waiting, ledger.broken()) == (0, 0, [])


async def test_an_entry_says_where_and_how_long() -> None:
    now = [100.0]
    ledger = Ledger(limits(total=1, hold_s=60.0), clock=lambda: now[0])
    leave = asyncio.Event()
    first = asyncio.create_task(hold_until(ledger, owner("a"), None, leave))
    await turns()
    second = asyncio.create_task(hold_until(ledger, owner("b"), None, asyncio.Event()))
    await turns()
    now[0] = 107.0
    leave.set()
    await first
    await turns()
    (entry,) = ledger.holders()
    assert (entry.waited_s, entry.taken_at, entry.deadline) == (7.0, 107.0, 167.0)
    assert entry.site[0] == __file__
    assert entry.task is second
    second.cancel()
    await turns()


# --- leaks ---------------------------------------------------------------------------------------


async def test_a_busy_permit_is_no_leak_however_many_are_held() -> None:
    now = [0.0]
    ledger = Ledger(limits(), clock=lambda: now[0])
    async with ledger.hold(owner("a"), "kimi"), ledger.hold(owner("b"), "kimi"):
        for now[0] in (0.0, 30.0, 59.999):
            assert ledger.leaks() == []


async def test_a_passed_deadline_is_a_leak_until_its_holder_gives_back() -> None:
    now = [0.0]
    ledger = Ledger(limits(), clock=lambda: now[0])
    async with ledger.hold(owner("a"), "kimi") as hold:
        now[0] = 60.0
        assert ledger.leaks() == [(hold.entry, "deadline passed")]
        assert ledger.held == 1  # named, not taken away
    assert ledger.leaks() == []


async def test_a_gone_connection_is_a_leak_after_the_time_to_end() -> None:
    now = [0.0]
    ledger = Ledger(limits(), clock=lambda: now[0])
    who = owner()
    async with ledger.hold(who, "kimi") as hold:
        who.gone_since = 10.0
        now[0] = 10.0 + GONE_GRACE_S - 0.01
        assert ledger.leaks() == []
        now[0] = 10.0 + GONE_GRACE_S
        assert ledger.leaks() == [(hold.entry, "connection gone")]


async def test_a_task_that_ended_without_giving_back_is_a_leak() -> None:
    ledger = Ledger(limits())
    holds: list[Hold] = []

    async def take_and_forget() -> None:
        hold = ledger.hold(owner(), "kimi")
        await hold.__aenter__()
        holds.append(hold)

    await asyncio.create_task(take_and_forget())
    assert ledger.leaks() == [(holds[0].entry, "owner done")]
    assert ledger.broken() == []
    await holds[0].__aexit__(None, None, None)
    assert (ledger.leaks(), ledger.held) == ([], 0)


def test_a_count_that_is_wrong_is_said() -> None:
    ledger = Ledger(limits())
    ledger._used = 1
    assert ledger.broken() == ["global: counted 1, held 0, limit 4"]


# --- fairness ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinds", "fields"),
    [
        (["kimi"], {"total": 1}),
        (["kimi"], {"total": 8, "session": 8}),
        (["kimi"], {"session": 2, "total": 8}),
        (["kimi", "glm", None], {"total": 4, "session": 4}),
        (["kimi", "glm", None], {"total": 6, "session": 3}),
    ],
)
@pytest.mark.parametrize("provider", ["kimi", "glm", None])
async def test_a_thousand_of_one_session_delay_another_by_at_most_two_service_times(
    kinds: list[str | None], fields: dict[str, Any], provider: str | None
) -> None:
    """A service lasts one tick of a clock that stands still while calls are handed their permits."""
    ledger = Ledger(limits(queue=2000, **fields))
    tick: list[asyncio.Event] = [asyncio.Event()]
    at = [0]
    served_at: list[int] = []

    async def call(who: Owner, kind: str | None, note: Callable[[], None]) -> None:
        async with ledger.hold(who, kind):
            note()
            await tick[0].wait()

    def start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.ensure_future(work)

    crowd = [start(call(owner("a", str(i)), kinds[i % len(kinds)], lambda: None)) for i in range(1000)]
    await turns()
    for _ in range(3):
        await _next(tick, at)
    asked = at[0]
    other = start(call(owner("b"), provider, lambda: served_at.append(at[0])))
    while not served_at:
        assert at[0] <= asked + 2
        await _next(tick, at)
    assert served_at[0] - asked <= 2
    for task in [*crowd, other]:
        task.cancel()
    await asyncio.gather(*crowd, other, return_exceptions=True)
    assert (ledger.held, ledger.waiting, ledger.broken()) == (0, 0, [])


async def _next(tick: list[asyncio.Event], at: list[int]) -> None:
    await turns()
    done, tick[0] = tick[0], asyncio.Event()
    at[0] += 1
    done.set()
    await turns()
