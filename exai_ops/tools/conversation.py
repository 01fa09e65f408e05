"""A stored conversation, opened for one turn.

Turns of one conversation run one after the other, each seeing the one before it in the store; turns of
different conversations do not meet. A turn that fails or is cancelled leaves the conversation as it was.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from exai_ops.errors import InvalidArguments, OverCapacity
from exai_ops.storage.contract import StoredMessage
from exai_ops.tools.api import ToolContext


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as its next turn finds it.

    Attributes:
        history: Messages of user and assistant, in order.
        system: The system message in force, or None.
        turns_left: Turns that remain after the next one.
        place: Its queue; None for a new one, whose id nobody else knows before the reply.
    """

    id: str
    tool: str
    history: list[StoredMessage] = []
    system: StoredMessage | None = None
    turns_left: int = 0
    place: _Place | None = None

    def append(self, ctx: ToolContext, messages: list[StoredMessage]) -> None:
        """Store the turn's messages, durable before the reply goes out and before the next turn reads."""
        write: Awaitable[None] = ctx.storage.append_messages(self.id, messages)
        if self.place is not None:
            write = asyncio.ensure_future(write)
            self.place.watch(write)
        ctx.defer(write)


class _Place:
    """Where the turns of one conversation queue: a lock, and the last turn's write until it is durable."""

    __slots__ = ("__weakref__", "lock", "write")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.write: asyncio.Future[None] | None = None

    def watch(self, write: asyncio.Future[None]) -> None:
        """Remember a write; the callback's reference keeps this place until the write is done."""
        self.write = write
        write.add_done_callback(self._written)

    def _written(self, write: asyncio.Future[None]) -> None:
        if self.write is write:
            self.write = None
        if not write.cancelled():
            write.exception()  # the daemon awaits it too; asked for here so that a cut call stays quiet


_places: Final[WeakValueDictionary[str, _Place]] = WeakValueDictionary()
"""Weak: a place lives as long as a turn holds it, waits for it, or has its write under way."""


@asynccontextmanager
async def open_conversation(
    ctx: ToolContext, continuation_id: str | None, *, tool: str
) -> AsyncIterator[Conversation]:
    """The conversation for one turn of ``tool``; None or an empty id begins a new one.

    Waits for an earlier turn of it up to ``settings.queue_wait_s``, then raises OverCapacity. Raises
    InvalidArguments for an unknown id and for a conversation without turns left. Cancellation safe.
    """
    limit = ctx.settings.max_turns
    if not continuation_id:
        yield Conversation(id=_new_id(), tool=tool, turns_left=limit - 1)
        return
    place = _places.get(continuation_id)
    if place is None:
        place = _places[continuation_id] = _Place()
    deadline = asyncio.get_running_loop().time() + ctx.settings.queue_wait_s
    await _lock(place, deadline, ctx)
    try:
        await _durable(place, deadline, ctx)
        stored = await ctx.storage.messages(continuation_id)
        yield _opened(continuation_id, tool, stored, limit, place)
    finally:
        place.lock.release()


async def _lock(place: _Place, deadline: float, ctx: ToolContext) -> None:
    try:
        async with asyncio.timeout_at(deadline):
            await place.lock.acquire()
    except TimeoutError:
        raise _busy(ctx) from None


async def _durable(place: _Place, deadline: float, ctx: ToolContext) -> None:
    """Wait for the write of the turn before: a store may answer a read ahead of a queued write."""
    if place.write is None:
        return
    left_s = max(0.0, deadline - asyncio.get_running_loop().time())
    _, pending = await asyncio.wait([place.write], timeout=left_s)
    if pending:
        raise _busy(ctx)


def _busy(ctx: ToolContext) -> OverCapacity:
    return OverCapacity(
        f"another turn of this conversation is still at work after {ctx.settings.queue_wait_s:g} s",
        retry_after_s=ctx.settings.retry_after_s,
    )


def _opened(
    conversation_id: str, tool: str, stored: list[StoredMessage] | None, limit: int, place: _Place
) -> Conversation:
    if stored is None:
        raise InvalidArguments(
            "continuation_id: is unknown or expired; leave it out to begin a new conversation"
        )
    turns = sum(message.role == "user" for message in stored)
    if turns >= limit:
        raise InvalidArguments(
            f"continuation_id: the conversation has used its {limit} turns; leave it out to begin a new one"
        )
    return Conversation(
        id=conversation_id,
        tool=tool,
        history=[message for message in stored if message.role != "system"],
        system=_system_of(stored, tool),
        turns_left=limit - turns - 1,
        place=place,
    )


def _system_of(stored: list[StoredMessage], tool: str) -> StoredMessage | None:
    """The last system message that this tool set: another tool's instructions are not this one's."""
    for message in reversed(stored):
        if message.role == "system" and message.metadata.get("tool", tool) == tool:
            return message
    return None


class _Random:
    """Bytes of the system's randomness, fetched for 256 ids at once: a system call costs more than an id."""

    SIZE: Final = 10

    def __init__(self) -> None:
        self._left = b""

    def take(self) -> bytes:
        """Ten bytes that were given to nobody else."""
        if not self._left:
            self._left = secrets.token_bytes(256 * self.SIZE)
        taken, self._left = self._left[: self.SIZE], self._left[self.SIZE :]
        return taken


_random: Final = _Random()


def _new_id() -> str:
    """32 hex digits in the order of time, as UUID version 7 (RFC 9562): an index grows at its end.

    74 bits are random, so that nobody guesses another's conversation.
    """
    moment = time.time_ns() // 1_000_000
    bits = int.from_bytes(_random.take()) & (1 << 76) - 1
    value = moment << 80 | 0x7 << 76 | bits
    return f"{value & ~(0xC << 60) | 0x8 << 60:032x}"
