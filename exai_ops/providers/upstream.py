"""One provider as the client sees it: where it is, how it has fared; and what all requests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from exai_ops import __version__
from exai_ops.providers.breaker import CircuitBreaker
from exai_ops.providers.dialect import Dialect
from exai_ops.providers.exchange import Endpoint
from exai_ops.settings import Settings


class Record(Protocol):
    """Takes one event for the monitor."""

    def __call__(
        self,
        connection_type: str,
        direction: str,
        *,
        script_name: str,
        function_name: str,
        data_size_bytes: int = 0,
        response_time_ms: float | None = None,
        error: str | None = None,
        metadata: tuple[Any, ...] | None = None,
    ) -> object:
        """``metadata`` is (keys, what all events of a call share, a value for each key)."""


@dataclass(slots=True)
class Upstream:
    """One provider: where it is, and how it has fared.

    Attributes:
        last_error: One line, without the key; None once it has answered. A request that it refused is none.
        last_ok_at: Seconds since the epoch.
        key_refused: Whether its last word on the key was no; a good answer takes that back.
    """

    endpoint: Endpoint
    base_url: str
    breaker: CircuitBreaker
    simulated: bool = False
    last_error: str | None = None
    last_ok_at: float | None = None
    key_refused: bool = False

    @property
    def name(self) -> str:
        """``kimi`` or ``glm``."""
        return self.endpoint.dialect.name


def make_upstream(
    dialect: Dialect, base_url: str, settings: Settings, *, simulated: bool = False
) -> Upstream:
    """An upstream with its URL and headers built once."""
    headers = CIMultiDict(dialect.headers())
    headers["Accept"] = "text/event-stream, application/json"
    headers["Accept-Encoding"] = "identity"  # what is inflated may be of any size
    headers["User-Agent"] = f"exai/{__version__}"
    breaker = CircuitBreaker(failures=settings.breaker_failures, reset_s=settings.breaker_reset_s)
    endpoint = Endpoint(dialect, URL(base_url + dialect.path), headers)
    return Upstream(endpoint, base_url, breaker, simulated)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the requests of all providers share while the client is open."""

    settings: Settings
    session: aiohttp.ClientSession
    record: Record | None
    clock: Callable[[], float]
    whole_timeout: aiohttp.ClientTimeout
    stream_timeout: aiohttp.ClientTimeout
