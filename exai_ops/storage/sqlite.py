"""The embedded store: conversations, sessions and the journal of calls in one SQLite file.

Awaiting a write may be cancelled; the write itself is made all the same. Per call of a tool there are
three writes (accept, append of two messages, finish); ``benchmarks/storage.py`` says what they cost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from exai_ops.errors import StorageError
from exai_ops.storage import schema
from exai_ops.storage.contract import CallRecord, SessionRecord, StoredMessage, StoreState
from exai_ops.storage.database import Database, Record, transact
from exai_ops.storage.writer import DEADLINE_S, Operation, Writer

if TYPE_CHECKING:
    import sqlite3

# Rows that one step of pruning looks at: a step holds the writer for a few milliseconds.
_SOME: Final = 500

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class SQLiteStorage:
    """The contract on one file, which is locked against a second daemon while it is open.

    ``record`` gets one event for each batch of writes and for each read, from the writer thread.
    """

    name = "sqlite"

    def __init__(self, path: Path, *, record: Record | None = None, deadline_s: float = DEADLINE_S) -> None:
        self.path = path
        self._database = Database(path, record)
        self._writer = Writer(self._database, name=str(path), deadline_s=deadline_s)

    async def open(self) -> None:
        """Lock the file, create or check its schema. Raises StorageError with the mend in its hint."""
        await self._writer.open()

    async def close(self) -> None:
        """Write out what is queued, then unlock. Safe to call twice."""
        await self._writer.close()

    async def check(self) -> StoreState:
        """Write and read one value now, try a write of every kind, see that the files are still there."""
        now, started = time.time(), time.perf_counter()
        try:
            seen, misplaced = await self._do(
                "check", lambda c: (_write_and_read(c, now), self._database.misplaced()), barrier=True
            )
            detail = misplaced if seen == now else "what was written did not come back"
        except StorageError as error:
            detail = error.message
        latency_ms = (time.perf_counter() - started) * 1000
        return StoreState(name=self.name, ok=not detail, latency_ms=latency_ms, detail=detail)

    def save_session(self, session: SessionRecord) -> Awaitable[None]:
        """Remember a session."""
        s = session
        return self._write(
            (schema.SESSION, s.session_id, s.resume_hash, s.created_at, None, None, None, None), 0
        )

    async def load_session(self, session_id: str) -> SessionRecord | None:
        """The session, or None."""
        row = await self._do(
            "load_session", lambda c: c.execute(schema.SELECT_SESSION, (session_id,)).fetchone()
        )
        return row and SessionRecord(session_id=session_id, resume_hash=row[0], created_at=row[1])

    def accept_call(self, call: CallRecord) -> Awaitable[None]:
        """Journal an accepted call. Replaces an earlier call of the same ids."""
        ids = (call.session_id, call.request_id)
        rows: tuple[Any, ...] = (
            schema.ACCEPT, *ids, call.tool, call.digest, call.daemon, call.accepted_at, None
        )  # fmt: skip
        if call.state != "running":
            rows += (schema.SETTLE, *ids, call.state, call.finished_at, call.result, None, None)
        return self._write(rows, 0)

    def finish_call(
        self, session_id: str, request_id: str, result: str, finished_at: float
    ) -> Awaitable[None]:
        """Keep a call's result; nothing happens when the call is unknown."""
        row = (schema.SETTLE, session_id, request_id, "done", finished_at, result, None, None)
        return self._write(row, _size(result))

    async def find_call(self, session_id: str, request_id: str) -> CallRecord | None:
        """The call, or None."""
        ids = (session_id, request_id)
        row = await self._do("find_call", lambda c: c.execute(schema.SELECT_CALL, ids).fetchone())
        return row and _call(row)

    async def interrupt_running(self, now: float) -> list[CallRecord]:
        """Mark every running call as interrupted, finished ``now``, and return them."""
        rows = await self._do(
            "interrupt_running",
            lambda c: c.execute(schema.INTERRUPT_RUNNING, (now,)).fetchall(),
            barrier=True,
        )
        return [_call(row) for row in rows]

    def append_messages(self, conversation_id: str, messages: Sequence[StoredMessage]) -> Awaitable[None]:
        """Add messages, all or none. Without messages nothing happens."""
        if not messages:
            return self._do("append_messages", lambda _: None, barrier=True)
        rows: list[Any] = []
        size = 0
        last_use: float | None = max(message.created_at for message in messages)
        kind = schema.FIRST_MESSAGE
        for m in messages:
            try:
                metadata = _encode(m.metadata).decode() if m.metadata else "{}"
            except (TypeError, ValueError) as error:
                return self._failed(f"metadata is not JSON: {error}")
            rows += (kind, conversation_id, m.role, m.content, m.created_at, m.tokens, metadata, last_use)
            kind, last_use = schema.NEXT_MESSAGE, None
            size += _size(m.content)
        return self._write(tuple(rows), size)

    async def messages(self, conversation_id: str) -> list[StoredMessage] | None:
        """All messages in order, or None when there is no such conversation."""
        rows = await self._do(
            "messages", lambda c: c.execute(schema.SELECT_MESSAGES, (conversation_id,)).fetchall()
        )
        try:
            return [_message(row) for row in rows] or None
        except msgspec.DecodeError as error:
            raise StorageError(
                f"{self.path}: a message of conversation {conversation_id} has metadata that is not JSON"
            ) from error

    async def prune(
        self, *, results_before: float, conversations_before: float, sessions_before: float
    ) -> int:
        """Drop what was last used before; returns how many calls, conversations and sessions went.

        Works in steps between which other operations run. A running call is never dropped and keeps
        its session; a session was last used when its last call finished. Cancellation leaves a
        consistent store, and the next prune goes on.
        """
        dropped = await self._repeat(lambda c: _drop_calls(c, results_before))
        dropped += await self._hide_conversations(conversations_before)
        await self._repeat(lambda c: c.execute(schema.SWEEP_MESSAGES, {"some": _SOME}).rowcount)
        await self._repeat(lambda c: c.execute(schema.SWEEP_CONVERSATIONS, {"some": _SOME}).rowcount)
        which = {"before": sessions_before, "some": _SOME}
        return dropped + await self._repeat(lambda c: c.execute(schema.DROP_SESSIONS, which).rowcount)

    async def _hide_conversations(self, before: float) -> int:
        first, last = await self._do("prune", lambda c: c.execute(schema.SPAN_OF_CONVERSATIONS).fetchone())
        hidden = 0
        for low in range(first or 0, (last or -1) + 1, _SOME):
            which = {"low": low, "high": low + _SOME - 1, "before": before}
            hidden += await self._do("prune", _execute_count(schema.HIDE_CONVERSATIONS, which), barrier=True)
        return hidden

    async def _repeat(self, step: Callable[[sqlite3.Connection], int]) -> int:
        """Take steps of at most ``_SOME`` rows until one is not full."""
        total = 0
        while True:
            count: int = await self._do("prune", step, barrier=True)
            total += count
            if count < _SOME:
                return total

    def _write(self, rows: tuple[Any, ...], size_bytes: int) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writer.submit(Operation(future, name="write", rows=rows, size_bytes=size_bytes))
        return future

    def _do(
        self, name: str, work: Callable[[sqlite3.Connection], Any], *, barrier: bool = False
    ) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._writer.submit(Operation(future, name=name, work=work, barrier=barrier))
        return future

    def _failed(self, message: str) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_exception(StorageError(f"{self.path}: {message}"))
        return future


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def _execute_count(sql: str, which: dict[str, Any]) -> Callable[[sqlite3.Connection], int]:
    return lambda connection: connection.execute(sql, which).rowcount


def _write_and_read(connection: sqlite3.Connection, now: float) -> float | None:
    def write() -> None:
        connection.execute("SAVEPOINT trial")
        connection.execute(schema.insert_rows(len(schema.TRIAL) // schema.WIDTH), schema.TRIAL)
        connection.execute("ROLLBACK TO trial")
        connection.execute(schema.WRITE_CHECK, (now,))

    transact(connection, write)
    row = connection.execute(schema.READ_CHECK).fetchone()
    return row[0] if row else None


def _drop_calls(connection: sqlite3.Connection, before: float) -> int:
    which = {"before": before, "some": _SOME}

    def drop() -> int:
        connection.execute(schema.KEEP_LAST_USE, which)
        return connection.execute(schema.DROP_CALLS, which).rowcount

    count: int = transact(connection, drop)
    return count


def _call(row: tuple[Any, ...]) -> CallRecord:
    session_id, request_id, tool, digest, daemon, accepted_at, state, finished_at, result = row
    return CallRecord(
        session_id=session_id,
        request_id=request_id,
        tool=tool,
        digest=digest,
        daemon=daemon,
        accepted_at=accepted_at,
        state=state,
        finished_at=finished_at,
        result=result,
    )


def _message(row: tuple[Any, ...]) -> StoredMessage:
    role, content, created_at, tokens, metadata = row
    return StoredMessage(
        role=role,
        content=content,
        created_at=created_at,
        tokens=tokens,
        metadata={} if metadata == "{}" else _decode(metadata),
    )
