"""Recording in the words of each kind of connection, over ``Monitor.record``.

::

    cache = Redis(monitor, "cache.py")
    async with cache.command("get") as call:
        value = await client.get(key)
        call.size_bytes = len(value)

The functions that these name are those that ``sampling.DEFAULT`` speaks of. Keys, statements, prompts and
answers are not asked for: give none.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final, Literal, Self

from exai_ops.monitor.recorder import Monitor
from exai_ops.monitor.scopes import Timed

# fmt: off
REDIS_READS: Final = frozenset({
    "blpop", "bzpopmax", "bzpopmin", "exists", "get", "getrange", "hget", "hgetall", "hkeys",
    "hlen", "hmget", "hvals", "keys", "lindex", "llen", "lrange", "mget", "pttl", "scan", "scard",
    "sismember", "smembers", "strlen", "ttl", "type", "xlen", "xrange", "xread", "xreadgroup",
    "zcard", "zrange", "zrangebyscore", "zscore",
})
"""Commands whose bytes come in; those of all others go out."""
# fmt: on

_SQL_READS: Final = frozenset({"select", "explain", "pragma", "values"})


class Boundary:
    """One kind of connection as seen from one script."""

    def __init__(self, monitor: Monitor, connection_type: str, script_name: str) -> None:
        self.connection_type: Final = connection_type
        self.script_name: Final = script_name
        self._monitor = monitor
        self._record = partial(monitor.record, connection_type, script_name=script_name)

    def sent(
        self, function: str, size_bytes: int = 0, response_time_ms: float | None = None, **metadata: Any
    ) -> None:
        """So many bytes have gone out."""
        self._tell("send", function, size_bytes, response_time_ms, **metadata)

    def received(
        self, function: str, size_bytes: int = 0, response_time_ms: float | None = None, **metadata: Any
    ) -> None:
        """So many bytes have come in."""
        self._tell("receive", function, size_bytes, response_time_ms, **metadata)

    def failed(
        self, function: str, error: str, response_time_ms: float | None = None, **metadata: Any
    ) -> None:
        """It went wrong; ``error`` is one line without a secret."""
        self._tell("error", function, 0, response_time_ms, error, **metadata)

    def rejected(self, function: str, reason: str, **metadata: Any) -> None:
        """Somebody was not let in."""
        self._tell("reject", function, error=reason, **metadata)

    def rate_limited(self, function: str, retry_after_s: float | None = None, **metadata: Any) -> None:
        """The other side has had enough for now."""
        self._tell("rate_limit", function, error="rate limited", retry_after_s=retry_after_s, **metadata)

    def connection(
        self, function: str = "connection", **metadata: Any
    ) -> AbstractContextManager[dict[str, Any]]:
        """A scope that is one active connection. See ``Monitor.connection``."""
        return self._monitor.connection(
            self.connection_type,
            script_name=self.script_name,
            function_name=function,
            metadata=metadata or None,
        )

    def timed(self, function: str, direction: str = "send", **metadata: Any) -> Timed:
        """A scope that is one call. See ``scopes.Timed``."""
        return Timed(partial(self._record, function_name=function), direction, metadata)

    def _tell(
        self,
        direction: str,
        function: str,
        size_bytes: int = 0,
        response_time_ms: float | None = None,
        error: str | None = None,
        **metadata: Any,
    ) -> None:
        self._record(
            direction,
            function_name=function,
            data_size_bytes=size_bytes,
            response_time_ms=response_time_ms,
            error=error,
            metadata=metadata or None,
        )


class WebSocket(Boundary):
    """A WebSocket; functions are the kinds of messages."""

    def __init__(self, monitor: Monitor, script_name: str) -> None:
        super().__init__(monitor, "websocket", script_name)


class Redis(Boundary):
    """Redis; functions are commands, in small letters."""

    def __init__(self, monitor: Monitor, script_name: str) -> None:
        super().__init__(monitor, "redis", script_name)

    def command(self, name: str, **metadata: Any) -> Timed:
        """One command; its direction follows from what it does."""
        name = name.lower()
        return self.timed(name, "receive" if name in REDIS_READS else "send", **metadata)


class Supabase(Boundary):
    """Supabase; functions are the kinds of queries, and ``read`` for a simple one."""

    def __init__(self, monitor: Monitor, script_name: str) -> None:
        super().__init__(monitor, "supabase", script_name)

    def query(self, kind: str, table: str, *, simple: bool = False) -> Timed:
        """One query; a ``simple`` select is a read by its key, named ``read``, of which one in 10 is kept."""
        kind = kind.lower()
        reads = kind == "select"
        return self.timed("read" if reads and simple else kind, "receive" if reads else "send", table=table)


class SQLite(Boundary):
    """SQLite; functions are the first words of statements."""

    def __init__(self, monitor: Monitor, script_name: str) -> None:
        super().__init__(monitor, "sqlite", script_name)

    def statement(self, verb: str, **metadata: Any) -> Timed:
        """One statement, or a batch of one kind."""
        verb = verb.lower()
        return self.timed(verb, "receive" if verb in _SQL_READS else "send", **metadata)


class Asking(Timed):
    """One request to a provider: an event when it goes out, and one with its outcome."""

    __slots__ = ("request_bytes",)

    def __init__(self, record: partial[None], request_bytes: int, metadata: dict[str, Any]) -> None:
        super().__init__(record, "receive", metadata)
        self.request_bytes = request_bytes

    def __enter__(self) -> Self:
        self._record(direction="send", data_size_bytes=self.request_bytes, metadata=dict(self.metadata))
        return super().__enter__()

    def first_token(self) -> None:
        """The first piece has come; of several, the first counts."""
        self.metadata.setdefault("first_token_ms", self.elapsed_ms)

    def answered(self, *, prompt_tokens: int, completion_tokens: int, size_bytes: int = 0) -> None:
        """The answer is whole."""
        self.metadata |= {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
        self.size_bytes = size_bytes

    def refused(self, status: int, error: str, *, retry_after_s: float | None = None) -> None:
        """The provider said no; ``error`` is one line without a secret. 429 is told as ``rate_limit``."""
        self.metadata |= {"status": status, "retry_after_s": retry_after_s}
        self.error = error
        if status == 429:
            self.failed_as = "rate_limit"


class Provider(Boundary):
    """A provider of models."""

    def __init__(self, monitor: Monitor, name: Literal["kimi", "glm"], script_name: str) -> None:
        super().__init__(monitor, name, script_name)

    def asking(
        self, function: str, model: str, *, attempt: int = 1, request_bytes: int = 0, **correlation: Any
    ) -> Asking:
        """One request for a completion; ``correlation`` are keys of ``events.CORRELATION``."""
        metadata = {**correlation, "model": model, "attempt": attempt}
        return Asking(partial(self._record, function_name=function), request_bytes, metadata)
