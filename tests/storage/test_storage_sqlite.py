"""SQLite keeps the contract, batches its writes and tells the monitor."""

from __future__ import annotations

import asyncio
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from storage_contract import StorageContract, StoreFactory, a_call, a_message

from exai_ops.errors import StorageError
from exai_ops.storage.contract import Storage
from exai_ops.storage.sqlite import SQLiteStorage


class TestSQLite(StorageContract):
    """The suite on a file."""

    @pytest.fixture
    def stores(self, tmp_path: Path) -> StoreFactory:
        def store() -> Storage:
            return SQLiteStorage(tmp_path / "state" / "exai.sqlite3")

        return store


class Events:
    """What was recorded."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, connection_type: str, direction: str, /, **values: Any) -> None:
        self.seen.append((connection_type, direction, values))

    def directions(self) -> list[str]:
        return [direction for _, direction, _ in self.seen]


async def test_one_turn_of_the_loop_is_one_batch(tmp_path: Path) -> None:
    events = Events()
    store = SQLiteStorage(tmp_path / "db", record=events)
    await store.open()
    await asyncio.gather(*(store.accept_call(a_call(request_id=str(n))) for n in range(32)))
    await store.find_call("s1", "1")
    await store.close()
    assert events.directions() == ["connect", "send", "receive", "disconnect"]
    kind, _, values = events.seen[1]
    assert kind == "sqlite"
    assert values["metadata"] == {"operations": 32}
    assert values["response_time_ms"] > 0
    assert values["error"] is None


async def test_an_operation_that_fails_fails_alone(tmp_path: Path) -> None:
    events = Events()
    store = SQLiteStorage(tmp_path / "db", record=events)
    await store.open()
    bad = [
        store.append_messages("bad", [a_message(), a_message(created_at=float("nan"))]),
        store.append_messages("bad", [a_message("lone \ud800 surrogate")]),
        store.append_messages("bad", [a_message(tokens=2**70)]),
        store.append_messages("bad", [a_message(str(n)) for n in range(400)] + [a_message(tokens=2**70)]),
    ]
    good = [store.append_messages(f"c{n}", [a_message()]) for n in range(3)]
    outcomes = await asyncio.gather(*bad, *good, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageError] * 4 + [type(None)] * 3
    assert await store.messages("bad") is None
    assert await store.messages("c2") == [a_message()]
    await store.close()
    assert "error" in events.directions()


async def test_reads_between_writes_do_not_split_their_batch(tmp_path: Path) -> None:
    events = Events()
    store = SQLiteStorage(tmp_path / "db", record=events)
    await store.open()
    work: list[Any] = []
    for n in range(4):
        work += [store.append_messages("c", [a_message(str(n))]), asyncio.ensure_future(store.messages("c"))]
    await asyncio.gather(*work)
    await store.close()
    assert events.directions().count("send") == 1


async def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state" / "db"
    store = SQLiteStorage(path)
    await store.open()
    await store.accept_call(a_call())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    await store.close()
    assert modes == dict.fromkeys(("db", "db-wal", "db-shm", "db.lock"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def test_close_leaves_one_file_and_no_thread(tmp_path: Path) -> None:
    store = SQLiteStorage(tmp_path / "db")
    await store.open()
    await store.accept_call(a_call())
    await store.close()
    assert _names(tmp_path) == ["db", "db.lock"]
    # The thread has said its last word; what is left of it is its return.
    for thread in threading.enumerate():
        if thread.name == str(tmp_path / "db"):
            thread.join(5)
            assert not thread.is_alive()


async def test_a_hung_thread_fails_what_waits(tmp_path: Path) -> None:
    store = SQLiteStorage(tmp_path / "db")
    await store.open()
    store._writer._deadline_s = 0.05
    release = threading.Event()
    hung = store._do("test", lambda _: release.wait(30), barrier=True)
    with pytest.raises(StorageError, match="no answer within"):
        await hung
    with pytest.raises(StorageError, match="no answer within"):
        await store.find_call("s1", "r1")
    assert not (await store.check()).ok
    store._writer._deadline_s = 10.0
    release.set()
    async with asyncio.timeout(30):
        while not (await store.check()).ok:  # until the thread is back
            pass
    await store.close()


async def test_a_long_batch_is_lent_the_interpreter(tmp_path: Path) -> None:
    store = SQLiteStorage(tmp_path / "db")
    await store.open()
    release = threading.Event()
    long = store._do("test", lambda _: release.wait(30))
    async with asyncio.timeout(10):
        while store._writer._lent < 3:  # noqa: ASYNC110 - a loop without a pause
            await asyncio.sleep(0)
    release.set()
    assert await long
    await store.close()


async def test_an_opening_given_up_leaves_the_file_free(tmp_path: Path) -> None:
    store = SQLiteStorage(tmp_path / "db")
    opening = asyncio.create_task(store.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await store.open()
    assert (await store.check()).ok
    await store.close()


async def test_one_bad_operation_among_many(tmp_path: Path) -> None:
    store = SQLiteStorage(tmp_path / "db")
    await store.open()
    writes = [store.append_messages("c", [a_message(str(n), tokens=2**70 * (n == 300))]) for n in range(1000)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if outcome is not None] == [300]
    kept = await store.messages("c")
    assert kept is not None
    assert [m.content for m in kept] == [str(n) for n in range(1000) if n != 300]
    await store.close()


async def test_a_bug_in_the_thread_reaches_who_waits(tmp_path: Path) -> None:
    store = SQLiteStorage(tmp_path / "db")
    await store.open()
    with pytest.raises(ZeroDivisionError):
        await store._do("test", lambda _: 1 // 0)
    assert (await store.check()).ok
    await store.close()
