"""A file that cannot be used says so in one line, with what to do."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from storage_contract import a_call, a_message

from exai_ops.errors import StorageError
from exai_ops.storage import schema
from exai_ops.storage.failures import explain
from exai_ops.storage.sqlite import SQLiteStorage


def _text(path: Path) -> None:
    path.write_text("this is no database, though it is long enough to be looked at\n" * 50)


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs(x)")
    connection.close()


def _other_id(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 7")
    connection.close()


def _newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()


def _folder(path: Path) -> None:
    path.mkdir()


def _damaged(path: Path) -> None:
    async def make() -> None:
        store = SQLiteStorage(path)
        await store.open()
        await store.append_messages("c", [a_message("x" * 3000)] * 20)
        await store.close()

    asyncio.run(make())
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * (4096 - 100)
    path.write_bytes(content)


REFUSALS = [
    (_text, "is not a SQLite database", "move it away"),
    (_foreign, "belongs to another application", "move it away"),
    (_other_id, "belongs to another application", "move it away"),
    (_newer, f"has schema version {schema.VERSION + 1}", "newer exai"),
    (_folder, "cannot be written", "writable"),
    (_damaged, "is damaged", ".recover"),
]


@pytest.mark.parametrize(
    ("make", "message", "hint"), REFUSALS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_file_that_is_not_ours(
    tmp_path: Path, make: Callable[[Path], None], message: str, hint: str
) -> None:
    path = tmp_path / "db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StorageError, match=message) as caught:
        asyncio.run(SQLiteStorage(path).open())
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message
    assert hint in (caught.value.hint or "")
    assert before == (path.read_bytes() if path.is_file() else b"")


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Path]:
    """A folder that this process may not write, whoever runs it."""
    folder = tmp_path / "sealed"
    folder.mkdir(mode=0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o700)


@pytest.mark.parametrize("name", ["db", "deeper/db"])
async def test_a_folder_that_may_not_be_written(nobody: Path, name: str) -> None:
    with pytest.raises(StorageError, match="cannot be written: Permission denied") as caught:
        await SQLiteStorage(nobody / name).open()
    assert "EXAI_STATE_DIR" in (caught.value.hint or "")


async def test_a_refused_store_can_be_opened_later(tmp_path: Path) -> None:
    path = tmp_path / "db"
    _text(path)
    seen: list[tuple[str, str]] = []
    store = SQLiteStorage(path, record=lambda kind, direction, /, **_: seen.append((kind, direction)))
    with pytest.raises(StorageError):
        await store.open()
    assert seen == [("sqlite", "error")]
    assert not (await store.check()).ok
    path.unlink()
    await store.open()
    assert (await store.check()).ok
    await store.close()


async def test_a_full_disk(tmp_path: Path) -> None:
    store = SQLiteStorage(tmp_path / "db")
    await store.open()
    await store.append_messages("before", [a_message()])
    limit = await store._do("test", lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await store._do("test", lambda c: c.execute(f"PRAGMA max_page_count = {limit + 3}").fetchone())
    big = store.append_messages("big", [a_message("x" * 100_000)])
    small = store.append_messages("small", [a_message()])
    with pytest.raises(StorageError, match="the disk is full") as caught:
        await big
    await small
    assert "free space" in (caught.value.hint or "")
    assert await store.messages("before") == await store.messages("small") == [a_message()]
    assert await store.messages("big") is None
    many = store.append_messages("many", [a_message("y" * 1000)] * 300)
    with pytest.raises(StorageError, match="the disk is full"):
        await many
    await store._do("test", lambda c: c.execute("PRAGMA max_page_count = 100000").fetchone())
    await store.append_messages("many", [a_message("y" * 1000)] * 300)
    await store.close()


async def test_check_says_what_is_wrong(tmp_path: Path) -> None:
    store = SQLiteStorage(tmp_path / "db")
    await store.open()
    await store._do("test", lambda c: c.execute("PRAGMA query_only = ON").fetchone())
    state = await store.check()
    assert not state.ok
    assert "cannot be written" in state.detail
    await store.close()


@pytest.mark.parametrize("table", ["calls", "sessions", "conversations", "messages"])
async def test_check_tries_every_table_and_leaves_nothing(tmp_path: Path, table: str) -> None:
    store = SQLiteStorage(tmp_path / "db")
    await store.open()
    assert (await store.check()).ok
    assert await store._do("test", lambda c: c.execute(f"SELECT count(*) FROM {table}").fetchone()) == (0,)
    spoil = f"CREATE TEMP TRIGGER spoil BEFORE INSERT ON {table} BEGIN SELECT raise(ABORT, 'spoilt'); END"
    await store._do("test", lambda c: c.execute(spoil).fetchone())
    state = await store.check()
    assert (state.ok, "spoilt" in state.detail) == (False, True)
    await store.close()


@pytest.mark.parametrize("name", ["db", "db.lock"])
@pytest.mark.parametrize("replaced", [False, True])
async def test_check_misses_a_file_that_was_taken_away(tmp_path: Path, name: str, replaced: bool) -> None:
    store = SQLiteStorage(tmp_path / "db")
    await store.open()
    path = tmp_path / name
    path.rename(tmp_path / "away")
    if replaced:
        path.touch()
    state = await store.check()
    assert not state.ok
    assert f"{path} was removed or replaced" in state.detail
    await store.close()


async def test_another_programs_lock_fails_the_batch_once(tmp_path: Path) -> None:
    store = SQLiteStorage(tmp_path / "db")
    await store.open()
    await store._do("test", lambda c: c.execute("PRAGMA busy_timeout = 1").fetchone())
    other = sqlite3.connect(tmp_path / "db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    outcomes = await asyncio.gather(
        *(store.accept_call(a_call(request_id=str(n))) for n in range(3)), return_exceptions=True
    )
    assert ["is locked by another program" in str(outcome) for outcome in outcomes] == [True] * 3
    other.execute("ROLLBACK")
    other.close()
    await store.accept_call(a_call())
    await store.close()


async def test_a_reader_does_not_keep_it_from_closing(tmp_path: Path) -> None:
    store = SQLiteStorage(tmp_path / "db")
    await store.open()
    await store.accept_call(a_call())
    reader = sqlite3.connect(tmp_path / "db", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM calls").fetchone() == (1,)
    await store.accept_call(a_call(request_id="r2"))
    await store.close()
    reader.close()
    await store.open()
    assert await store.find_call("s1", "r2") == a_call(request_id="r2")
    await store.close()


async def test_metadata_spoilt_by_another_program(tmp_path: Path) -> None:
    store = SQLiteStorage(tmp_path / "db")
    await store.open()
    await store.append_messages("c", [a_message()])
    await store._do("test", lambda c: c.execute("UPDATE messages SET metadata = '{'"))
    with pytest.raises(StorageError, match="metadata that is not JSON"):
        await store.messages("c")
    await store.close()


def test_a_disk_without_space_for_the_lock() -> None:
    error = explain(OSError(errno.ENOSPC, "No space left on device"), Path("db"))
    assert error.message == "db cannot be written: No space left on device"
    assert "free space" in (error.hint or "")


async def test_one_owner_in_one_process(tmp_path: Path) -> None:
    first, second = SQLiteStorage(tmp_path / "db"), SQLiteStorage(tmp_path / "db")
    await first.open()
    with pytest.raises(StorageError, match=f"in use by pid {os.getpid()}"):
        await second.open()
    await first.close()
    await second.open()
    await second.close()


_OWNER = """
import asyncio, sys
from pathlib import Path
from exai_ops.storage.sqlite import SQLiteStorage

async def main():
    store = SQLiteStorage(Path(sys.argv[1]))
    await store.open()
    print("open", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


def test_a_live_process_keeps_its_file_and_a_dead_one_does_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _OWNER, str(tmp_path / "db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"open\n"
        store = SQLiteStorage(tmp_path / "db")
        with pytest.raises(StorageError, match=f"in use by pid {owner.pid}") as caught:
            asyncio.run(store.open())
        assert "exai stop" in (caught.value.hint or "")
        owner.kill()
    asyncio.run(_open_and_close(store))


async def _open_and_close(store: SQLiteStorage) -> None:
    await store.open()
    await store.close()


def test_a_process_that_forgets_to_close_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _OWNER, str(tmp_path / "db")]
    ended = subprocess.run(command, input=b"", capture_output=True, timeout=30, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
