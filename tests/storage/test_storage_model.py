"""Any sequence of operations leaves what a model in memory says."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from exai_ops.storage.contract import CallRecord, SessionRecord, StoredMessage
from exai_ops.storage.sqlite import SQLiteStorage

T = TypeVar("T")
SESSIONS = st.sampled_from(["s1", "s2"])
REQUESTS = st.sampled_from(["r1", "r2"])
CONVERSATIONS = st.sampled_from(["c1", "c2"])
TIMES = st.integers(0, 20).map(float)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
MESSAGES = st.lists(
    st.builds(
        StoredMessage,
        role=st.sampled_from(["system", "user", "assistant"]),
        content=TEXTS,
        created_at=TIMES,
        tokens=st.integers(0, 2**40),
        metadata=st.dictionaries(TEXTS, JSON, max_size=2),
    ),
    max_size=4,
)
CALLS = st.builds(
    CallRecord,
    session_id=SESSIONS,
    request_id=REQUESTS,
    tool=TEXTS,
    digest=TEXTS,
    daemon=TEXTS,
    accepted_at=TIMES,
)


class Model:
    """The contract, in memory."""

    def __init__(self) -> None:
        self.sessions: dict[str, SessionRecord] = {}
        self.last_use: dict[str, float] = {}
        self.calls: dict[tuple[str, str], CallRecord] = {}
        self.conversations: dict[str, list[StoredMessage]] = {}

    def save_session(self, session: SessionRecord) -> None:
        self.sessions[session.session_id] = session
        self._used(session.session_id, session.created_at)

    def accept_call(self, call: CallRecord) -> None:
        self.calls[call.session_id, call.request_id] = call

    def finish_call(self, session_id: str, request_id: str, result: str, at: float) -> None:
        if call := self.calls.get((session_id, request_id)):
            done = replace(call, state="done", result=result, finished_at=at)
            self.calls[session_id, request_id] = done

    def interrupt_running(self, now: float) -> list[CallRecord]:
        running = [ids for ids, call in self.calls.items() if call.state == "running"]
        for ids in running:
            self.calls[ids] = replace(self.calls[ids], state="interrupted", finished_at=now)
        return [self.calls[ids] for ids in running]

    def append_messages(self, conversation_id: str, messages: list[StoredMessage]) -> None:
        if messages:
            self.conversations.setdefault(conversation_id, []).extend(messages)

    def prune(self, results: float, conversations: float, sessions: float) -> int:
        old_calls = [
            ids
            for ids, call in self.calls.items()
            if call.finished_at is not None and call.finished_at < results
        ]
        for session_id, request_id in old_calls:
            call = self.calls.pop((session_id, request_id))
            if session_id in self.sessions and call.finished_at is not None:
                self._used(session_id, call.finished_at)
        old_talks = [
            name
            for name, said in self.conversations.items()
            if max(m.created_at for m in said) < conversations
        ]
        for name in old_talks:
            del self.conversations[name]
        old_sessions = [name for name in self.sessions if not self._in_use(name, sessions)]
        for name in old_sessions:
            del self.sessions[name], self.last_use[name]
        return len(old_calls) + len(old_talks) + len(old_sessions)

    def _used(self, session_id: str, at: float) -> None:
        self.last_use[session_id] = max(at, self.last_use.get(session_id, at))

    def _in_use(self, session_id: str, since: float) -> bool:
        calls = [call for call in self.calls.values() if call.session_id == session_id]
        return self.last_use[session_id] >= since or any(
            call.finished_at is None or max(call.finished_at, call.accepted_at) >= since for call in calls
        )


class StoreMachine(RuleBasedStateMachine):
    """SQLite beside the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.store = SQLiteStorage(Path(self.folder.name) / "db")
        self.model = Model()
        self.run(self.store.open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def write(self, *writes: tuple[str, tuple[Any, ...]]) -> None:
        """Make the writes at once, in one batch, and in the model one by one."""

        async def together() -> None:
            await asyncio.gather(*(getattr(self.store, name)(*values) for name, values in writes))

        self.run(together())
        for name, values in writes:
            getattr(self.model, name)(*values)

    @rule(
        session=st.builds(SessionRecord, session_id=SESSIONS, resume_hash=st.none() | TEXTS, created_at=TIMES)
    )
    def save_session(self, session: SessionRecord) -> None:
        self.write(("save_session", (session,)))

    @rule(
        writes=st.lists(
            st.tuples(st.just("accept_call"), st.tuples(CALLS))
            | st.tuples(st.just("finish_call"), st.tuples(SESSIONS, REQUESTS, TEXTS, TIMES))
            | st.tuples(st.just("append_messages"), st.tuples(CONVERSATIONS, MESSAGES)),
            min_size=1,
            max_size=8,
        )
    )
    def write_a_batch(self, writes: list[tuple[str, tuple[Any, ...]]]) -> None:
        self.write(*writes)

    @rule(now=TIMES)
    def interrupt(self, now: float) -> None:
        def ids(call: CallRecord) -> tuple[str, str]:
            return call.session_id, call.request_id

        interrupted = self.run(self.store.interrupt_running(now))
        assert sorted(interrupted, key=ids) == sorted(self.model.interrupt_running(now), key=ids)

    @rule(results=TIMES, conversations=TIMES, sessions=TIMES)
    def prune(self, results: float, conversations: float, sessions: float) -> None:
        dropped = self.run(
            self.store.prune(
                results_before=results, conversations_before=conversations, sessions_before=sessions
            )
        )
        assert dropped == self.model.prune(results, conversations, sessions)

    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.run(self.store.open())

    @invariant()
    def the_same_is_kept(self) -> None:
        self.run(self._compare())

    async def _compare(self) -> None:
        for session_id in ("s1", "s2"):
            assert await self.store.load_session(session_id) == self.model.sessions.get(session_id)
            for request_id in ("r1", "r2"):
                found = await self.store.find_call(session_id, request_id)
                assert found == self.model.calls.get((session_id, request_id))
        for name in ("c1", "c2"):
            assert await self.store.messages(name) == self.model.conversations.get(name)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()
        self.folder.cleanup()


StoreMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
TestStoreMachine = StoreMachine.TestCase
