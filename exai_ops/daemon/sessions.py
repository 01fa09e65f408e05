"""Sessions: who is connected, which calls they have, and how one is taken up again."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections import OrderedDict
from dataclasses import replace
from typing import Any, Final, Protocol

from exai_ops.daemon.call import Call, Sink
from exai_ops.errors import StorageError
from exai_ops.logs import get_logger
from exai_ops.storage.contract import CallRecord, SessionRecord, Storage

_LOG: Final = get_logger("exai.sessions")

UNSTORED_MOST: Final = 100
"""Results of one session that are kept in memory because the store refused them."""


class Connection(Sink, Protocol):
    """A client's connection, as a session knows it."""

    async def close(self, code: int, reason: str) -> None:
        """Close it. Never raises because the other side left."""


class Session:
    """One client's session; it outlives its connection while there is something to come back for.

    Attributes:
        calls: The running ones by request_id.
        finished: request_id of ended calls and when they ended (seconds since the epoch), oldest first;
            their results are in the store, or ``unstored`` where it refused them.
        resumable: Whether the client holds a resume secret.
        restored: Whether it comes from the store, so that the store knows calls that memory does not.
        idle_since: Seconds since the epoch without a connection, or None while there is one.
    """

    __slots__ = (
        "answers",
        "calls",
        "connection",
        "finished",
        "idle_since",
        "record",
        "restored",
        "resumable",
        "unstored",
    )

    def __init__(self, record: SessionRecord, *, restored: bool = False) -> None:
        self.record = record
        self.resumable = record.resume_hash is not None
        self.restored = restored
        self.connection: Connection | None = None
        self.calls: dict[str, Call] = {}
        self.finished: OrderedDict[str, float] = OrderedDict()
        self.unstored: dict[str, CallRecord] = {}
        self.answers: dict[str, str] = {}
        self.idle_since: float | None = None

    @property
    def id(self) -> str:
        """The session's id."""
        return self.record.session_id

    def keep_unstored(self, known: CallRecord) -> None:
        """Keep a result that the store refused; of very many, the newest."""
        self.unstored[known.request_id] = known
        if len(self.unstored) > UNSTORED_MOST:
            del self.unstored[next(iter(self.unstored))]

    def forget_before(self, limit: float) -> None:
        """Drop what is known of calls that ended before ``limit``, in seconds since the epoch."""
        while self.finished:
            request_id, ended = next(iter(self.finished.items()))
            if ended >= limit:
                break
            del self.finished[request_id]
            self.unstored.pop(request_id, None)
        if self.answers:
            self.answers = {d: r for d, r in self.answers.items() if r in self.finished or r in self.calls}


class Sessions:
    """All sessions of the daemon."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def connected(self) -> int:
        """Sessions with a client on the line."""
        return sum(session.connection is not None for session in self._sessions.values())

    def __iter__(self) -> Any:
        return iter(list(self._sessions.values()))

    async def open(self, now: float, *, resumable: bool) -> tuple[Session, str | None]:
        """A new session and, if asked for, its resume secret (256 bits; stored hashed).

        Without a secret, too, when the store refuses it: the session then works, and says that it
        cannot be taken up again.
        """
        secret = secrets.token_urlsafe(32) if resumable else None
        record = SessionRecord(
            session_id=str(uuid.uuid4()),
            resume_hash=None if secret is None else _hash(secret),
            created_at=now,
        )
        if resumable:
            try:
                await self._storage.save_session(record)
            except StorageError as error:
                _LOG.warning("session not stored", error=str(error), session=record.session_id)
                secret, record = None, replace(record, resume_hash=None)
        session = self._sessions[record.session_id] = Session(record)
        return session, secret

    async def resume(self, session_id: str, secret: str) -> Session | None:
        """The session that the secret belongs to, from memory or the store; None if it does not fit."""
        session = self._sessions.get(session_id)
        record = session.record if session else await self._storage.load_session(session_id)
        if record is None or record.resume_hash is None:
            return None
        if not hmac.compare_digest(record.resume_hash, _hash(secret)):
            return None
        return self._sessions.setdefault(session_id, Session(record, restored=True))

    def prune(self, now: float, ttl_s: float) -> None:
        """Forget ended calls after ``ttl_s`` seconds, and sessions that nobody can come back to."""
        for session in list(self._sessions.values()):
            session.forget_before(now - ttl_s)
            if session.idle_since is None or session.calls:
                continue
            if not session.resumable or now - session.idle_since > ttl_s:
                del self._sessions[session.id]

    def drop_if_unreachable(self, session: Session) -> None:
        """Forget a session at once when its client is gone and cannot come back."""
        if session.connection is None and not session.resumable and not session.calls:
            self._sessions.pop(session.id, None)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
