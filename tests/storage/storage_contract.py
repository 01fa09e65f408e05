"""What every store must do: a test class that an implementation inherits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from exai_ops.errors import StorageError
from exai_ops.storage.contract import CallRecord, SessionRecord, Storage, StoredMessage

StoreFactory: TypeAlias = Callable[[], Storage]


def a_call(session_id: str = "s1", request_id: str = "r1", **changes: Any) -> CallRecord:
    """A running call, accepted at 100."""
    call = CallRecord(
        session_id=session_id,
        request_id=request_id,
        tool="chat",
        digest="digest",
        daemon="daemon",
        accepted_at=100.0,
    )
    return replace(call, **changes)


def a_message(content: str = "hello", **changes: Any) -> StoredMessage:
    """A user's message, said at 100."""
    return replace(StoredMessage(role="user", content=content, created_at=100.0), **changes)


ODD_TEXTS = [
    "",
    "plain",
    "ünïcödé 漢字 🦀",
    "nul \0 inside",
    "quotes \" \\ '; DROP TABLE calls; --",
    "x" * 200_000,
]


class StorageContract:
    """The suite; the fixture ``stores`` gives a factory of handles on one store, empty at first."""

    @pytest.fixture
    async def storage(self, stores: StoreFactory) -> AsyncIterator[Storage]:
        store = stores()
        await store.open()
        yield store
        await store.close()

    async def test_check_writes_and_reads(self, storage: Storage) -> None:
        state = await storage.check()
        assert (state.ok, state.detail, state.name) == (True, "", storage.name)
        assert state.latency_ms > 0

    async def test_check_of_a_closed_store_is_not_ok(self, stores: StoreFactory) -> None:
        state = await stores().check()
        assert not state.ok
        assert state.detail

    async def test_close_twice_and_after_nothing(self, stores: StoreFactory) -> None:
        store = stores()
        await store.close()
        await store.open()
        await asyncio.gather(store.close(), store.close())
        await store.close()

    async def test_a_closed_store_refuses(self, stores: StoreFactory) -> None:
        store = stores()
        await store.open()
        await store.close()
        with pytest.raises(StorageError):
            await store.accept_call(a_call())
        with pytest.raises(StorageError):
            await store.find_call("s1", "r1")

    async def test_a_session_comes_back_and_is_replaced(self, storage: Storage) -> None:
        assert await storage.load_session("s1") is None
        for resume_hash in ("ab" * 32, None, "cd" * 32):
            session = SessionRecord(session_id="s1", resume_hash=resume_hash, created_at=1795500745.123456)
            await storage.save_session(session)
            assert await storage.load_session("s1") == session

    async def test_a_call_from_acceptance_to_result(self, storage: Storage) -> None:
        assert await storage.find_call("s1", "r1") is None
        await storage.accept_call(a_call())
        assert await storage.find_call("s1", "r1") == a_call()
        await storage.finish_call("s1", "r1", '{"text":"ü"}', 101.5)
        done = a_call(state="done", finished_at=101.5, result='{"text":"ü"}')
        assert await storage.find_call("s1", "r1") == done
        assert await storage.find_call("s2", "r1") is None
        assert await storage.find_call("s1", "r2") is None

    @pytest.mark.parametrize("state", ["running", "done", "interrupted"])
    async def test_an_accepted_call_replaces_its_predecessor(self, storage: Storage, state: str) -> None:
        await storage.accept_call(a_call())
        if state == "done":
            await storage.finish_call("s1", "r1", "{}", 101.0)
        if state == "interrupted":
            await storage.interrupt_running(101.0)
        again = a_call(digest="other", accepted_at=200.0)
        await storage.accept_call(again)
        assert await storage.find_call("s1", "r1") == again

    async def test_finishing_an_unknown_call_changes_nothing(self, storage: Storage) -> None:
        await storage.finish_call("s1", "r1", "{}", 1.0)
        assert await storage.find_call("s1", "r1") is None

    async def test_running_calls_are_interrupted_once(self, storage: Storage) -> None:
        await asyncio.gather(*(storage.accept_call(a_call(request_id=f"r{n}")) for n in range(4)))
        await storage.finish_call("s1", "r0", "{}", 101.0)
        interrupted = await storage.interrupt_running(150.0)
        expected = [a_call(request_id=f"r{n}", state="interrupted", finished_at=150.0) for n in (1, 2, 3)]
        assert sorted(interrupted, key=lambda call: call.request_id) == expected
        assert await storage.interrupt_running(160.0) == []
        assert await storage.find_call("s1", "r2") == expected[1]

    async def test_a_conversation_keeps_its_order(self, storage: Storage) -> None:
        assert await storage.messages("c1") is None
        said = [
            a_message("be brief", role="system"),
            a_message("hello", tokens=3),
            a_message("hi", role="assistant", created_at=99.0, metadata={"model": "m", "n": [1, None, 2.5]}),
        ]
        await storage.append_messages("c1", said[:2])
        await storage.append_messages("c2", [a_message("elsewhere")])
        await storage.append_messages("c1", said[2:])
        assert await storage.messages("c1") == said

    async def test_appending_nothing_makes_no_conversation(self, storage: Storage) -> None:
        await storage.append_messages("c1", [])
        assert await storage.messages("c1") is None

    async def test_a_long_append_is_whole(self, storage: Storage) -> None:
        said = [a_message(str(n)) for n in range(700)]
        await storage.append_messages("c1", said)
        assert await storage.messages("c1") == said

    @pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
    async def test_text_comes_back_as_it_was(self, storage: Storage, text: str) -> None:
        await storage.append_messages("c1", [a_message(text, metadata={"text": text})])
        await storage.accept_call(a_call(digest=text))
        await storage.finish_call("s1", "r1", text, 101.0)
        assert await storage.messages("c1") == [a_message(text, metadata={"text": text})]
        found = await storage.find_call("s1", "r1")
        assert found is not None
        assert (found.digest, found.result) == (text, text)

    async def test_writes_apply_in_the_order_of_their_calls(self, storage: Storage) -> None:
        said = [a_message(str(n)) for n in range(50)]
        writes = [storage.append_messages("c1", [message]) for message in said]
        await writes[-1]
        assert await storage.messages("c1") == said
        await asyncio.gather(*writes)

    async def test_a_read_sees_the_writes_before_it(self, storage: Storage) -> None:
        accepted = storage.accept_call(a_call())
        assert await storage.find_call("s1", "r1") == a_call()
        await accepted

    async def test_calls_of_one_batch_keep_their_order(self, storage: Storage) -> None:
        await asyncio.gather(
            storage.accept_call(a_call()),
            storage.finish_call("s1", "r1", "first", 101.0),
            storage.accept_call(a_call(accepted_at=102.0)),
            storage.finish_call("s1", "r1", "second", 103.0),
        )
        found = await storage.find_call("s1", "r1")
        assert found == a_call(accepted_at=102.0, state="done", finished_at=103.0, result="second")

    async def test_many_writers_at_once(self, storage: Storage) -> None:
        async def session(index: int) -> None:
            for number in range(5):
                call = a_call(f"s{index}", f"r{number}")
                await storage.accept_call(call)
                await storage.append_messages(f"c{index}", [a_message(f"{index} {number}")])
                await storage.finish_call(call.session_id, call.request_id, f"{index}", 101.0)
                found = await storage.find_call(call.session_id, call.request_id)
                assert found is not None
                assert found.result == f"{index}"

        await asyncio.gather(*(session(index) for index in range(32)))
        for index in range(32):
            kept = await storage.messages(f"c{index}")
            assert kept is not None
            assert [m.content for m in kept] == [f"{index} {n}" for n in range(5)]

    async def test_metadata_that_is_no_json_fails_alone(self, storage: Storage) -> None:
        bad = storage.append_messages("c1", [a_message(metadata={"x": object()})])
        good = storage.append_messages("c2", [a_message()])
        with pytest.raises(StorageError):
            await bad
        await good
        assert await storage.messages("c1") is None

    async def test_a_cancelled_waiter_leaves_its_write(self, storage: Storage) -> None:
        async def wait() -> None:
            await storage.accept_call(a_call())

        task = asyncio.create_task(wait())
        while not task.cancelling():
            await asyncio.sleep(0)  # let it reach its write
            task.cancel()
        others = [storage.append_messages("c1", [a_message()]), storage.accept_call(a_call(request_id="r2"))]
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.gather(*others)
        assert await storage.find_call("s1", "r1") == a_call()

    async def test_close_writes_what_is_queued(self, stores: StoreFactory) -> None:
        store = stores()
        await store.open()
        writes = [store.append_messages("c1", [a_message(str(n))]) for n in range(200)]
        await store.close()
        await asyncio.gather(*writes)
        again = stores()
        await again.open()
        kept = await again.messages("c1")
        await again.close()
        assert kept is not None
        assert len(kept) == 200

    async def test_everything_outlives_a_reopening(self, stores: StoreFactory) -> None:
        store = stores()
        await store.open()
        session = SessionRecord(session_id="s1", resume_hash="h", created_at=1.0)
        await asyncio.gather(
            store.save_session(session),
            store.accept_call(a_call()),
            store.append_messages("c1", [a_message()]),
        )
        await store.close()
        await store.open()
        assert await store.load_session("s1") == session
        assert await store.messages("c1") == [a_message()]
        assert await store.interrupt_running(150.0) == [a_call(state="interrupted", finished_at=150.0)]
        await store.close()

    async def test_prune_drops_what_is_older_and_nothing_else(self, storage: Storage) -> None:
        for name, at in (("old", 100.0), ("new", 200.0)):
            await storage.save_session(SessionRecord(session_id=name, resume_hash=None, created_at=at))
            await storage.accept_call(a_call("keeper", name, accepted_at=at))
            await storage.finish_call("keeper", name, "{}", at)
            await storage.append_messages(name, [a_message(created_at=at)])
        await storage.accept_call(a_call("keeper", "running", accepted_at=1.0))
        limits = {"results_before": 150.0, "conversations_before": 150.0, "sessions_before": 150.0}
        assert await storage.prune(**limits) == 3
        assert await storage.prune(**limits) == 0
        assert await storage.find_call("keeper", "old") is None
        assert await storage.find_call("keeper", "new") is not None
        assert await storage.find_call("keeper", "running") is not None
        assert (await storage.messages("old"), await storage.load_session("old")) == (None, None)
        assert await storage.messages("new") == [a_message(created_at=200.0)]
        assert await storage.load_session("new") is not None

    async def test_use_keeps_a_session_and_a_conversation(self, storage: Storage) -> None:
        await storage.save_session(SessionRecord(session_id="s1", resume_hash=None, created_at=1.0))
        await storage.accept_call(a_call(accepted_at=200.0))
        await storage.finish_call("s1", "r1", "{}", 201.0)
        await storage.append_messages("c1", [a_message("first", created_at=1.0)])
        await storage.append_messages("c1", [a_message("last", created_at=200.0)])
        # Its results go first, yet what they say of its last use stays.
        limits = {"conversations_before": 150.0, "sessions_before": 150.0}
        assert await storage.prune(results_before=300.0, **limits) == 1
        assert await storage.load_session("s1") is not None
        kept = await storage.messages("c1")
        assert kept is not None
        assert len(kept) == 2

    async def test_prune_drops_many(self, storage: Storage) -> None:
        for n in range(1200):
            storage.accept_call(a_call(f"s{n % 7}", f"r{n}"))
            storage.finish_call(f"s{n % 7}", f"r{n}", "{}", 101.0)
        await storage.append_messages("c1", [a_message(str(n)) for n in range(1200)])
        limits = {"results_before": 150.0, "conversations_before": 150.0, "sessions_before": 150.0}
        assert await storage.prune(**limits) == 1201
        assert await storage.messages("c1") is None
        await storage.append_messages("c1", [a_message("anew", created_at=200.0)])
        assert await storage.messages("c1") == [a_message("anew", created_at=200.0)]
