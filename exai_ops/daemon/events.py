"""What the daemon tells the monitor of a call; ``monitor.trace`` joins it again.

Nothing is recorded of a permit that was free: the result tells all waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from exai_ops.daemon.call import Call

RecordEvent: TypeAlias = Callable[..., None]

_PERMIT: Final = ("provider", "permit_wait_ms")
_RESULT: Final = ("result_ms", "journal_ms", "provider", "queue_wait_ms", "permit_wait_ms")
"""What is packed: see ``monitor.events.Packed``."""


def permit(
    record: RecordEvent, what: Literal["take", "switch"], call: Call, provider: str | None, waited_s: float
) -> None:
    """A permit that had to be waited for is held."""
    waited_ms = waited_s * 1000
    record(
        "permits",
        "receive",
        script_name="daemon",
        function_name=what,
        response_time_ms=waited_ms,
        metadata=(_PERMIT, call.origin, provider, waited_ms),
    )


def result(record: RecordEvent, call: Call, *, size: int, ending_at: float) -> None:
    """A call has its result, of ``size`` characters; ``ending_at`` is when its outcome stood, monotonic."""
    now, entry = time.monotonic(), call.entry
    provider = queued_ms = waited_ms = None
    if entry is not None:
        provider = entry.provider
        queued_ms = (entry.taken_at - call.started_at) * 1000
        waited_ms = entry.waited_s * 1000
    result_ms = (now - ending_at) * 1000
    record(
        "websocket",
        "send" if call.code is None else "error",
        script_name="daemon",
        function_name=call.tool,
        data_size_bytes=size,
        response_time_ms=(now - call.started_at) * 1000,
        error=call.code,
        metadata=(_RESULT, call.origin, result_ms, call.journal_ms, provider, queued_ms, waited_ms),
    )


def refused(record: RecordEvent, tool: str, code: str, origin: Mapping[str, str], *, size: int) -> None:
    """A call was answered by an error before it became one."""
    record(
        "websocket",
        "error",
        script_name="daemon",
        function_name=tool,
        data_size_bytes=size,
        response_time_ms=0.0,
        error=code,
        metadata=origin,
    )
