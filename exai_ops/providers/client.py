"""The HTTP client of all providers: one session, and a deadline around each completion."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

import aiohttp

from exai_ops.errors import ProviderTimeout
from exai_ops.providers.exchange import Tally
from exai_ops.providers.run import Run
from exai_ops.providers.types import ChatRequest, Completion, OnDelta
from exai_ops.providers.upstream import Record, Shared, Upstream
from exai_ops.settings import Settings

_KEEPALIVE_S: Final = 30.0
_NOBODY: Final[Mapping[str, str]] = {}


class Client:
    """Asks any provider over one session. Use with ``async with``."""

    def __init__(
        self, settings: Settings, *, record: Record | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._record = record
        self._clock = clock
        self._shared: Shared | None = None

    async def __aenter__(self) -> Self:
        # Permits bound the connections; a limit here would only hide waiting from their queue.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S)
        connect_s, idle_s = self._settings.connect_timeout_s, self._settings.idle_timeout_s
        self._shared = Shared(
            settings=self._settings,
            session=aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            ),
            record=self._record,
            clock=self._clock,
            # An unstreamed answer comes as one piece: only a stream can stall between two.
            whole_timeout=aiohttp.ClientTimeout(connect=connect_s),
            stream_timeout=aiohttp.ClientTimeout(connect=connect_s, sock_read=idle_s),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shared is not None:
            await self._shared.session.close()
            self._shared = None

    async def complete(
        self,
        upstream: Upstream,
        model: str,
        request: ChatRequest,
        on_delta: OnDelta | None = None,
        *,
        tally: Tally | None = None,
        patience_s: float | None = None,
        origin: Mapping[str, str] | None = None,
    ) -> Completion:
        """One finished answer, streamed to ``on_delta`` when it is given.

        Cancelling closes the upstream connection at once. Raises ProviderError.

        Args:
            tally: Counted on, also when it fails.
            patience_s: Bounds a wait that the provider asks for between two attempts; None leaves it to
                the deadline.
            origin: In the metadata of each event.
        """
        if self._shared is None:
            raise RuntimeError("the client is used outside of its 'async with'")
        limit_s = self._settings.tool_timeout_s
        deadline = asyncio.timeout(limit_s)
        run = Run(
            self._shared,
            upstream,
            model,
            request,
            on_delta,
            tally or Tally(),
            deadline,
            patience_s,
            origin or _NOBODY,
        )
        try:
            async with deadline:
                return await run.complete()
        except TimeoutError:
            if not deadline.expired():
                raise  # the caller's own, out of on_delta
            raise ProviderTimeout(
                f"{upstream.name} at {upstream.endpoint.host}: no whole answer within {limit_s:g} s",
                provider=upstream.name,
                hint="ask for less, or raise EXAI_TOOL_TIMEOUT_SECS",
            ) from None
