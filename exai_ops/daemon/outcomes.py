"""What a call's end becomes: the frames of every outcome but the good one, and what the store keeps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, Final

import msgspec

from exai_ops.daemon import protocol
from exai_ops.daemon.call import Call
from exai_ops.errors import ExaiError, ProviderTimeout, StorageError
from exai_ops.logs import get_logger
from exai_ops.storage.contract import CallRecord

_LOG: Final = get_logger("exai.dispatch")


def failure(call: Call, code: str, message: str, **details: Any) -> str:
    """A result frame with an error; the call remembers the code."""
    call.code = code
    after_s = round(time.monotonic() - call.started_at, 3)
    return protocol.call_error(call.request_id, code, message, after_s=after_s, **details)


def cancelled(call: Call, code: str) -> str:
    """A cancellation that was asked for is an outcome."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
    return failure(call, code, call.cancel_message)


def being_cancelled() -> bool:
    """Whether a CancelledError is meant for this task, and not left over from one that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def defect(call: Call) -> str:
    """Log the exception that is being handled; its details are not for the client."""
    _LOG.exception("tool failed", tool=call.tool, session=call.session_id, request=call.request_id)
    return failure(call, protocol.EXEC_ERROR, f"{call.tool} failed by a defect; see the daemon's log")


async def decided(call: Call, write: Awaitable[None]) -> str | None:
    """Why a tool's write failed, or None; a write that is not the store's gets a deadline."""
    if isinstance(write, asyncio.Future) and write.done():
        return await written(call, write)
    try:
        async with asyncio.timeout(call.timeout_s):
            return await written(call, write)
    except TimeoutError:
        return f"a write took longer than {call.timeout_s:g} s"


async def written(call: Call, write: Awaitable[None]) -> str | None:
    """Await a write, whoever made it; why it failed, or None."""
    try:
        await write
    except StorageError as error:
        return str(error)
    except (Exception, asyncio.CancelledError) as error:  # a tool's own awaitable
        if isinstance(error, asyncio.CancelledError) and being_cancelled():
            raise
        _LOG.exception("write failed", tool=call.tool, session=call.session_id, request=call.request_id)
        return "a write failed by a defect; see the daemon's log"
    return None


def refused(call: Call, error: ExaiError) -> str:
    """What a failure of ours or of the provider means for the client."""
    code = protocol.TIMEOUT if isinstance(error, ProviderTimeout) else protocol.EXEC_ERROR
    known = {name: getattr(error, name, None) for name in ("hint", "provider", "status", "retry_after_s")}
    details = {name: value for name, value in known.items() if value is not None}
    return failure(call, code, str(error), kind=type(error).__name__, **details)


def with_warning(frame: str, warning: str) -> str:
    """The frame with a warning in its metadata."""
    known = msgspec.json.decode(frame)
    return protocol.encode(known | {"metadata": known.get("metadata", {}) | {"warning": warning}})


def duplicate(request_id: str) -> str:
    """The id stands for another call."""
    message = "this request_id stands for another call of this session; use a new one"
    return protocol.call_error(request_id, protocol.DUPLICATE, message, original_request_id=request_id)


def kept(known: CallRecord) -> str:
    """The stored result, or what is known of a call that has none."""
    if known.result is not None:
        return known.result
    return protocol.call_error(
        known.request_id,
        protocol.INTERRUPTED,
        f"the daemon ended while {known.tool} was at work; whether the provider answered is not known",
        tool=known.tool,
        accepted_at=known.accepted_at,
    )


def unstored(call: Call, frame: str, daemon_id: str, now: float) -> CallRecord:
    """What the store would keep of an ended call, had it taken it."""
    return CallRecord(
        session_id=call.session_id,
        request_id=call.request_id,
        tool=call.tool,
        digest=call.digest,
        daemon=daemon_id,
        accepted_at=call.accepted_at or now,
        state="done",
        finished_at=now,
        result=frame,
    )


class _Error(msgspec.Struct):
    code: str = ""


class _Outcome(msgspec.Struct):
    error: _Error | None = None


def code_of(frame: str) -> str | None:
    """The error code of a result frame, None for a good one."""
    outcome = msgspec.json.decode(frame, type=_Outcome)
    return None if outcome.error is None else outcome.error.code


def expired(known: CallRecord, ttl_s: float) -> bool:
    """Whether a result is past its time."""
    return known.finished_at is not None and known.finished_at < time.time() - ttl_s
