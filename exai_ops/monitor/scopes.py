"""A scope that is one call at a boundary: timed, sized, its failure told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self


class Timed:
    """``with`` or ``async with`` around one call; one event when it ends.

    An exception makes it an event of direction ``error`` with the exception's type as its error, for of its
    message nobody knows that it holds no secret, and goes on. What ends it from outside (a cancellation, an
    interrupt) is no error: the event keeps its direction and has the type under ``cut``.

    Attributes:
        size_bytes, metadata: To be set within; the metadata is a copy of one's own.
        error: One line without a secret; set within, it is told in place of the type.
        failed_as: Direction of the event of a failure: ``error``, ``reject`` or ``rate_limit``.
    """

    __slots__ = ("_began", "_direction", "_record", "error", "failed_as", "metadata", "size_bytes")

    def __init__(
        self, record: Callable[..., object], direction: str, metadata: Mapping[str, Any] | None = None
    ) -> None:
        self._record = record
        self._direction = direction
        self._began = 0.0
        self.size_bytes = 0
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.error: str | None = None
        self.failed_as: Literal["error", "reject", "rate_limit"] = "error"

    @property
    def elapsed_ms(self) -> float:
        """Since it was entered."""
        return (time.perf_counter() - self._began) * 1000

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        took_ms = self.elapsed_ms
        if kind is not None and issubclass(kind, Exception):
            self.error = self.error or kind.__name__
        elif kind is not None:
            self.metadata["cut"] = kind.__name__
        self._record(
            direction=self._direction if self.error is None else self.failed_as,
            data_size_bytes=self.size_bytes,
            response_time_ms=took_ms,
            error=self.error,
            metadata=self.metadata or None,
        )

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
