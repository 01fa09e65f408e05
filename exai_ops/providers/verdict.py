"""A refusal in either dialect as one of our errors: what it means, what to do, whether to wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from exai_ops.errors import (
    ModelNotFound,
    ProviderAuthError,
    ProviderError,
    ProviderQuotaExhausted,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from exai_ops.providers.complaint import Complaint

Kind: TypeAlias = type[ProviderError]

_WORDS: Final[Mapping[Kind, str]] = {
    ProviderAuthError: "refused the key",
    ProviderQuotaExhausted: "has no balance or quota left",
    ProviderRateLimited: "limits the rate",
    ModelNotFound: "does not know the model",
    ProviderRejected: "refused the request",
    ProviderTimeout: "gave up waiting",
    ProviderUnavailable: "is unavailable",
}
_HINTS: Final[Mapping[Kind, str]] = {
    ProviderAuthError: "check {key} and that {url} is of the key's region",
    ProviderQuotaExhausted: "recharge the account of {key} or wait for its reset; retrying does not help",
    ProviderRateLimited: "ask again later, or allow fewer calls at once",
    ModelNotFound: "the tool listmodels names the models",
}


def kind_by_status(status: int) -> Kind:
    """What an HTTP status alone says."""
    if status == 401:
        return ProviderAuthError
    if status in (402, 403):
        return ProviderQuotaExhausted if status == 402 else ProviderAuthError
    if status == 404:
        return ModelNotFound
    if status in (408, 504):
        return ProviderTimeout
    if status == 429:
        return ProviderRateLimited
    # A success or a redirect that is no completion: something else answers there.
    return ProviderUnavailable if status >= 500 or status < 400 else ProviderRejected


def judge(
    provider: str,
    status: int,
    complaint: Complaint,
    kind: Kind,
    *,
    key_variable: str,
    url_variable: str,
) -> ProviderError:
    """The error to raise for a complaint of this kind."""
    tags = [f"HTTP {status}"] if status >= 300 else []
    if complaint.code:
        tags.append(f"code {complaint.code}")
    message = f"{provider} {_WORDS[kind]}" + (f" ({', '.join(tags)})" if tags else "")
    if complaint.message:
        message += f": {complaint.message}"
    hint = _HINTS.get(kind, "check {url}" if 300 <= status < 400 else "")
    make: Callable[..., ProviderError] = kind
    return make(
        message,
        provider=provider,
        status=status,
        code=complaint.code,
        retry_after_s=complaint.retry_after_s if kind in _WAITABLE else None,
        hint=hint.format(key=key_variable, url=url_variable) or None,
    )


_WAITABLE: Final = frozenset(
    {ProviderRateLimited, ProviderQuotaExhausted, ProviderUnavailable, ProviderTimeout}
)
