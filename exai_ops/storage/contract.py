"""What a store must do; every implementation passes the same suite.

Writes are durable against the death of the daemon's process when their awaitable returns. Writes
are applied in the order in which they were called, so the awaitable of a later one covers the
earlier ones. Every method raises ``StorageError`` when the store refuses or is away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

CallState: TypeAlias = Literal["running", "done", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A session that may be resumed.

    Attributes:
        resume_hash: SHA-256 of the resume secret in hex, or None when the client did not ask for one.
        created_at: Seconds since the epoch.
    """

    session_id: str
    resume_hash: str | None
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One accepted call.

    Attributes:
        digest: Fingerprint of tool and arguments, to tell a retry from another call with the same id.
        daemon: Identity of the daemon that accepted it.
        state: ``running`` from acceptance; ``done`` with a result; ``interrupted`` when its daemon died.
        result: The ``call_tool_res`` frame as JSON text, None while there is none.
        accepted_at, finished_at: Seconds since the epoch.
    """

    session_id: str
    request_id: str
    tool: str
    digest: str
    daemon: str
    accepted_at: float
    state: CallState = "running"
    finished_at: float | None = None
    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """One message of a conversation, as it was said.

    Attributes:
        role: ``system``, ``user`` or ``assistant``.
        tokens: Estimate or count, 0 when unknown.
        created_at: Seconds since the epoch.
        metadata: JSON values only (model, provider, tool).
    """

    role: str
    content: str
    created_at: float
    tokens: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """Answer of a real look at the store: ``ok`` only after a write and a read came back."""

    name: str
    ok: bool
    latency_ms: float
    detail: str = ""


class Storage(Protocol):
    """The contract."""

    name: str

    async def open(self) -> None:
        """Make it usable: create or check the schema. Raises StorageError with the mend in its hint."""

    async def close(self) -> None:
        """Write out what is queued and let go of it. Safe to call twice."""

    async def check(self) -> StoreState:
        """Look at the store now; never raises for a store that is away."""

    def save_session(self, session: SessionRecord) -> Awaitable[None]:
        """Remember a session."""

    async def load_session(self, session_id: str) -> SessionRecord | None:
        """The session, or None."""

    def accept_call(self, call: CallRecord) -> Awaitable[None]:
        """Journal an accepted call, before its ack. Replaces a finished call of the same ids."""

    def finish_call(
        self, session_id: str, request_id: str, result: str, finished_at: float
    ) -> Awaitable[None]:
        """Keep a call's result, before it is answered."""

    async def find_call(self, session_id: str, request_id: str) -> CallRecord | None:
        """The call, or None."""

    async def interrupt_running(self, now: float) -> list[CallRecord]:
        """Mark every running call as interrupted, at start-up, and return them."""

    def append_messages(self, conversation_id: str, messages: Sequence[StoredMessage]) -> Awaitable[None]:
        """Add messages at the end of a conversation, creating it with the first."""

    async def messages(self, conversation_id: str) -> list[StoredMessage] | None:
        """All messages in order, or None when there is no such conversation."""

    async def prune(
        self, *, results_before: float, conversations_before: float, sessions_before: float
    ) -> int:
        """Drop finished calls, conversations and sessions whose last use is older; return how many rows."""
