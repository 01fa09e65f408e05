"""Which provider answers: models by name, the default, and the other one when the first is down."""

from __future__ import annotations

import difflib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import TracebackType
from typing import Final, Self, TypeAlias

from exai_ops.errors import (
    ModelNotFound,
    ProviderAuthError,
    ProviderError,
    ProviderQuotaExhausted,
    ProviderRateLimited,
    ProviderUnavailable,
)
from exai_ops.providers import complaint
from exai_ops.providers import models as catalog
from exai_ops.providers.client import Client
from exai_ops.providers.exchange import Tally
from exai_ops.providers.glm import Glm
from exai_ops.providers.kimi import Kimi
from exai_ops.providers.resilience import breaker_open
from exai_ops.providers.types import ChatRequest, Completion, ModelInfo, OnDelta, ProviderState
from exai_ops.providers.upstream import Record, Upstream, make_upstream
from exai_ops.settings import Secret, Settings

OnEnter: TypeAlias = Callable[[str], Awaitable[None]]
_NAMES_KEPT: Final = 256
_PATIENCE_S: Final = 2.0  # a longer Retry-After sends the call to the other provider, if it may go there
_SIMULATED_KEY: Final = Secret("simulated-key")
_SIMULATED_PATHS: Final = {"kimi": "/kimi/v1", "glm": "/glm/v4"}
_FAILS_OVER: Final = (ProviderUnavailable, ProviderRateLimited, ProviderQuotaExhausted, ProviderAuthError)


@dataclass(frozen=True, slots=True)
class _Trip:
    """One completion on its way through the candidates."""

    request: ChatRequest
    on_delta: OnDelta | None
    enter: OnEnter | None
    tally: Tally
    origin: Mapping[str, str] | None


class Providers:
    """Kimi and GLM behind one face. Use with ``async with``.

    Args:
        record: Takes an event for each upstream request and its outcome.
        simulated_base_url: Of a simulator that answers in the name of both; keys are not used then.
        clock: Monotonic seconds, for the circuit breakers.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        record: Record | None = None,
        simulated_base_url: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._simulated = simulated_base_url is not None
        self._client = Client(settings, record=record, clock=clock)
        self._upstreams = _upstreams(settings, simulated_base_url)
        self._configured = {
            "kimi": self._simulated or bool(settings.kimi_api_key),
            "glm": self._simulated or bool(settings.glm_api_key),
        }
        self._defaults = {"kimi": settings.kimi_model, "glm": settings.glm_model}
        self._named = lru_cache(_NAMES_KEPT)(self._look_up)
        self._model = lru_cache(_NAMES_KEPT)(self._marked)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    def models(self) -> list[ModelInfo]:
        """The models that can be asked for now: those of the providers with a key, defaults included."""
        known = {model.name: model for model in catalog.MODELS}
        for provider, name in self._defaults.items():
            if name not in known:
                known[name] = catalog.of_provider(name, provider)
        return [self._model(m.name, m.provider) for m in known.values() if self._configured[m.provider]]

    def states(self) -> list[ProviderState]:
        """What is known of each provider without asking it."""
        now = self._clock()
        return [self._state(upstream, now) for upstream in self._upstreams.values()]

    def usable(self) -> bool:
        """Whether a provider has a key, not refused by its last word on it, and no open breaker."""
        return any(state.unusable is None for state in self.states())

    def resolve(self, model: str | None) -> ModelInfo:
        """The model that a completion would ask first. Raises ModelNotFound, ProviderAuthError."""
        provider, name = self.candidates(model)[0]
        return self._model(name, provider)

    def candidates(self, model: str | None) -> list[tuple[str, str]]:
        """(provider, model) to ask, in order: one when a model was named, else each that has a key.

        The default comes first, those with an open breaker last. Raises ModelNotFound, ProviderAuthError.
        """
        if not _is_auto(model):
            return [self._named(str(model).strip())]
        default = self._settings.default_provider
        names = [
            name for name in sorted(self._upstreams, key=lambda n: n != default) if self._configured[name]
        ]
        if not names:
            raise ProviderAuthError(
                "no provider has a key",
                provider=default,
                hint="set KIMI_API_KEY or GLM_API_KEY, or start `exai serve --simulate`",
            )
        now = self._clock()
        names.sort(key=lambda name: self._upstreams[name].breaker.state(now) == "open")
        return [(name, self._defaults[name]) for name in names]

    async def complete(
        self,
        request: ChatRequest,
        *,
        on_delta: OnDelta | None = None,
        enter: OnEnter | None = None,
        origin: Mapping[str, str] | None = None,
    ) -> Completion:
        """The answer of the first provider that gives one; streamed to ``on_delta`` when it is given.

        ``enter`` is awaited with a provider's name before it is asked. Another provider is asked only
        when no model was named and nothing was streamed. Cancelling closes the upstream connection.
        ``origin`` is in the metadata of each event.
        Raises ProviderError of the first one asked, with the other's message in its hint.
        """
        candidates = self.candidates(request.model)
        trip = _Trip(request, on_delta, enter, Tally(), origin)
        if len(candidates) == 1:
            return await self._ask(*candidates[0], trip)
        first: ProviderError | None = None
        for provider, model in candidates:
            try:
                completion = await self._ask(provider, model, trip, patience_s=None if first else _PATIENCE_S)
            except _FAILS_OVER as error:
                if trip.tally.streamed:
                    raise
                first = _joined(first, error)
                continue
            # With its breaker open the default was not even tried first; it is down all the same.
            down = first.provider if first else self._settings.default_provider
            return completion if down == provider else replace(completion, failed_over_from=down)
        raise first or AssertionError("no candidates")

    async def _ask(
        self, provider: str, model: str, trip: _Trip, *, patience_s: float | None = None
    ) -> Completion:
        upstream = self._upstreams[provider]
        now = self._clock()
        if upstream.breaker.refuses_for_s(now):  # before a permit is waited for
            raise breaker_open(provider, upstream.breaker, now, upstream.last_error)
        if trip.enter is not None:
            await trip.enter(provider)
        return await self._client.complete(
            upstream,
            model,
            trip.request,
            trip.on_delta,
            tally=trip.tally,
            patience_s=patience_s,
            origin=trip.origin,
        )

    def _look_up(self, name: str) -> tuple[str, str]:
        """(provider, model) for a name that the caller gave. Raises ModelNotFound, ProviderAuthError."""
        lowered = name.lower()
        if lowered in self._defaults:
            provider, name = lowered, self._defaults[lowered]
        elif own := next((p for p, default in self._defaults.items() if name == default), None):
            provider = own
        elif found := catalog.find(name):
            provider, name = found.provider, found.name
        else:
            raise self._not_found(name)
        if not self._configured[provider]:
            dialect = self._upstreams[provider].endpoint.dialect
            raise ProviderAuthError(
                f"{name} is a model of {provider}, which has no key",
                provider=provider,
                hint=f"set {dialect.key_variable}, or name another model (the tool listmodels lists them)",
            )
        return provider, name

    def _not_found(self, name: str) -> ModelNotFound:
        shown = complaint.one_line(name[:64], Secret())
        known = [model.name for model in self.models()]
        near = difflib.get_close_matches(shown.lower(), known, n=1, cutoff=0.5)
        return ModelNotFound(
            f"no model is named {shown!r}" + (f"; the nearest is {near[0]}" if near else ""),
            provider=self._settings.default_provider,
            hint="the tool listmodels names the models that can be asked for",
        )

    def _marked(self, name: str, provider: str) -> ModelInfo:
        model = catalog.of_provider(name, provider)
        return replace(model, simulated=True) if self._simulated else model

    def _state(self, upstream: Upstream, now: float) -> ProviderState:
        return ProviderState(
            name=upstream.name,
            configured=self._configured[upstream.name],
            base_url=upstream.base_url,
            breaker=upstream.breaker.state(now),
            consecutive_failures=upstream.breaker.consecutive_failures,
            last_error=upstream.last_error,
            last_ok_at=upstream.last_ok_at,
            simulated=upstream.simulated,
            key_refused=upstream.key_refused,
        )


def _upstreams(settings: Settings, simulated_base_url: str | None) -> dict[str, Upstream]:
    simulated = simulated_base_url is not None
    urls = {"kimi": settings.kimi_api_url, "glm": settings.glm_api_url}
    kimi, glm = settings.kimi_api_key, settings.glm_api_key
    if simulated_base_url is not None:
        urls = {name: simulated_base_url.rstrip("/") + path for name, path in _SIMULATED_PATHS.items()}
        kimi = glm = _SIMULATED_KEY
    return {
        dialect.name: make_upstream(dialect, urls[dialect.name], settings, simulated=simulated)
        for dialect in (Kimi(kimi), Glm(glm))
    }


def _is_auto(model: str | None) -> bool:
    return model is None or model.strip().lower() in ("", "auto")


def _joined(first: ProviderError | None, error: ProviderError) -> ProviderError:
    """The error to raise when all have failed: the first one, with the other's message in its hint."""
    if first is None:
        return error
    first.hint = f"{first.hint}; {error.message}" if first.hint else error.message
    return first
