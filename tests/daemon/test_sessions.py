"""Sessions: opening, taking up again, forgetting; and who is let in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exai_ops.daemon import protocol
from exai_ops.daemon.sessions import Session, Sessions
from exai_ops.settings import Secret
from exai_ops.storage.sqlite import SQLiteStorage

from .daemon_parts import House, Line, open_house

TTL_S = 600.0


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[SQLiteStorage]:
    store = SQLiteStorage(tmp_path / "s.sqlite3")
    await store.open()
    yield store
    await store.close()


async def test_a_secret_for_who_asked_stored_as_a_hash(storage: SQLiteStorage) -> None:
    sessions = Sessions(storage)
    plain, none = await sessions.open(1.0, resumable=False)
    kept, secret = await sessions.open(1.0, resumable=True)
    assert none is None
    assert secret is not None
    assert len(secret) * 6 >= 128
    assert not plain.resumable
    assert kept.resumable
    assert plain.id != kept.id
    stored = await storage.load_session(kept.id)
    assert stored is not None
    assert stored.resume_hash is not None
    assert secret not in stored.resume_hash
    assert await storage.load_session(plain.id) is None


async def test_taken_up_from_memory_and_from_the_store(storage: SQLiteStorage) -> None:
    before = Sessions(storage)
    session, secret = await before.open(1.0, resumable=True)
    assert secret is not None
    assert await before.resume(session.id, secret) is session
    after = Sessions(storage)
    restored = await after.resume(session.id, secret)
    assert restored is not None
    assert restored.restored
    assert restored.id == session.id
    assert await after.resume(session.id, secret) is restored


@pytest.mark.parametrize("wrong", ["", "x", "ü"])
async def test_not_without_the_secret(storage: SQLiteStorage, wrong: str) -> None:
    sessions = Sessions(storage)
    session, secret = await sessions.open(1.0, resumable=True)
    plain, _ = await sessions.open(1.0, resumable=False)
    assert secret is not None
    for session_id in (session.id, plain.id, "unknown"):
        assert await sessions.resume(session_id, wrong) is None
    assert await sessions.resume(session.id, secret[:-1]) is None
    assert await sessions.resume(plain.id, secret) is None


PRUNED: list[tuple[bool, float | None, bool, float, bool]] = [
    # resumable, idle since, a call runs, now, kept
    (False, None, False, 1e9, True),
    (False, 100.0, False, 101.0, False),
    (False, 100.0, True, 1e9, True),
    (True, 100.0, False, 100.0 + TTL_S, True),
    (True, 100.0, False, 100.1 + TTL_S, False),
    (True, 100.0, True, 1e9, True),
    (True, None, False, 1e9, True),
]


@pytest.mark.parametrize(("resumable", "idle", "runs", "now", "kept"), PRUNED)
async def test_pruning(
    storage: SQLiteStorage, resumable: bool, idle: float | None, runs: bool, now: float, kept: bool
) -> None:
    sessions = Sessions(storage)
    session, _ = await sessions.open(1.0, resumable=resumable)
    session.idle_since = idle
    if runs:
        call: Any = object()
        session.calls["r1"] = call
    sessions.prune(now, TTL_S)
    assert list(sessions) == ([session] if kept else [])


def test_ended_calls_are_forgotten_in_time(storage: SQLiteStorage) -> None:
    session = Session(protocol_record())
    session.finished.update({"old": 10.0, "edge": 20.0, "new": 30.0})
    session.answers = {"a": "old", "b": "new", "c": "running"}
    running: Any = object()
    session.calls["running"] = running
    session.unstored = {"old": running, "new": running}
    session.forget_before(20.0)
    assert list(session.finished) == ["edge", "new"]
    assert session.answers == {"b": "new", "c": "running"}
    assert list(session.unstored) == ["new"]


def protocol_record() -> Any:
    from exai_ops.storage.contract import SessionRecord

    return SessionRecord(session_id="s", resume_hash=None, created_at=1.0)


async def test_a_session_that_nobody_can_reach_is_dropped_at_once(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        line, resumable = Line(), Line()
        session = await house.join(line)
        kept = await house.join(resumable, features=["resume"])
        house.daemon.left(session, line)
        house.daemon.left(kept, resumable)
        assert list(house.daemon.sessions) == [house.session, kept]
        assert kept.idle_since is not None


# --- who is let in -------------------------------------------------------------------------------


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        house.daemon.token = Secret("the-token")
        yield house


@pytest.mark.parametrize("token", [None, "", "the-toke", "the-token ", "THE-TOKEN", "тхе"])
async def test_a_wrong_token(guarded: House, token: str | None) -> None:
    answer = await guarded.daemon.enter(Line(), protocol.Hello(token=token))
    assert isinstance(answer, protocol.Refused)
    assert (answer.close, json.loads(answer.frame)["error"]) == (4003, "unauthorized")
    assert "the-token" not in answer.frame


async def test_the_right_token(guarded: House) -> None:
    line = Line()
    await guarded.join(line, token="the-token")
    assert line.frames == [{"op": "hello_ack", "ok": True, "session_id": line.frames[0]["session_id"]}]


UNFIT: dict[str, Any] = {
    "ok": False,
    "error": "invalid_params",
    "message": "new: holds white space, control characters or other than ASCII",
}
ROTATIONS: list[tuple[str | None, str | None, dict[str, Any]]] = [
    (None, None, {"ok": False, "error": "missing_params"}),
    ("the-token", None, {"ok": False, "error": "missing_params"}),
    ("the-token", "", {"ok": False, "error": "missing_params"}),
    (None, "new", {"ok": False, "error": "missing_params"}),
    ("wrong", "new", {"ok": False, "error": "unauthorized"}),
    ("wrong", "two words", {"ok": False, "error": "unauthorized"}),
    ("the-token", "the-new-one", {"ok": True}),
    ("the-token", "two words", UNFIT),
    ("the-token", " the-new-one", UNFIT),
    ("the-token", "the-new-one\n", UNFIT),
    ("the-token", "schl\u00fcssel", UNFIT),
    ("the-token", "\ud800", UNFIT),
    ("the-token", "a\0b", UNFIT),
]


@pytest.mark.parametrize(("old", "new", "expected"), ROTATIONS)
async def test_rotating_the_token(
    guarded: House, old: str | None, new: str | None, expected: dict[str, Any]
) -> None:
    answer = json.loads(guarded.daemon.rotate(protocol.RotateToken(old=old, new=new)))
    assert answer == {"op": "rotate_token_res"} | expected
    good = "the-new-one" if expected["ok"] else "the-token"
    assert guarded.daemon.authorized(good)
    assert not guarded.daemon.authorized("the-token" if expected["ok"] else "the-new-one")
    assert "the-token" not in repr(guarded.daemon.monitor.recent())
    assert "the-new-one" not in repr(guarded.daemon.monitor.recent())


async def test_without_a_token_there_is_none_to_rotate(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        answer = json.loads(house.daemon.rotate(protocol.RotateToken(old="x", new="y")))
        assert answer["error"] == "unauthorized"
        assert house.daemon.authorized("anything")


async def test_one_connection_too_many(tmp_path: Path) -> None:
    async with open_house(tmp_path, max_connections=2) as house:
        lines = [Line(), Line(), Line()]
        assert [house.daemon.admit(line) for line in lines] == [None, None, (1008, "too many connections")]
        house.daemon.connections.discard(lines[0])
        assert house.daemon.admit(lines[2]) is None
        house.daemon.state = "draining"
        house.daemon.connections.clear()
        refused = house.daemon.admit(lines[0])
        assert refused is not None
        assert refused[0] == 1012
        house.daemon.connections.clear()


async def test_readiness(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        assert house.daemon.unready() is None
        for state in ("starting", "draining"):
            house.daemon.state = state
            assert house.daemon.unready() == state
