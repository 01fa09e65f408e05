"""Failures below HTTP as errors of ours that name the host and what failed: DNS, connect, TLS, cut, stall.

The cause is never chained: the representation of aiohttp's errors holds the request's headers, the key
among them.
"""

from __future__ import annotations

import os
import ssl
from typing import Final

import aiohttp

from exai_ops.errors import ProviderTimeout, ProviderUnavailable

TRANSPORT_ERRORS: Final = (aiohttp.ClientError, OSError)


def transport_failure(provider: str, host: str, error: Exception, pieces: int = 0) -> ProviderUnavailable:
    """The error to raise; ``pieces`` of a streamed answer had come before it."""
    kind = ProviderTimeout if isinstance(error, TimeoutError) else ProviderUnavailable
    what, hint = _what(error, pieces)
    return kind(f"{provider} at {host}: {what}", provider=provider, hint=hint)


def _what(error: Exception, pieces: int) -> tuple[str, str | None]:
    for kind, what, hint in _KINDS:
        if isinstance(error, kind):
            if hint is not None or not pieces:
                return what + _detail(error), hint
            break
    return f"stream {'stalled' if isinstance(error, TimeoutError) else 'cut'} after {pieces} pieces", None


_NETWORK: Final = "check the network and the base URL"
# The first that fits; those without a hint may also happen in the middle of a stream.
_KINDS: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, str | None], ...]] = (
    (aiohttp.ClientConnectorDNSError, "DNS: the name cannot be resolved", _NETWORK),
    (aiohttp.ClientConnectorCertificateError, "TLS: the certificate is refused", "check clock and base URL"),
    ((aiohttp.ClientSSLError, ssl.SSLError), "TLS: the handshake failed", "does the base URL speak https?"),
    (aiohttp.ConnectionTimeoutError, "connect: not accepted in time", _NETWORK),
    (aiohttp.ClientConnectorError, "connect: failed", _NETWORK),
    (aiohttp.ClientResponseError, "sent what is not HTTP", "check the base URL"),
    (TimeoutError, "stalled before an answer", None),
    (Exception, "connection cut before an answer", None),
)


def _detail(error: Exception) -> str:
    """What the system says beside it; never the peer's words."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        said = getattr(error.certificate_error, "verify_message", "")
    elif isinstance(error, aiohttp.ClientConnectorError) and (error.errno or 0) > 0:
        said = os.strerror(error.errno or 0)
    else:
        said = ""
    return f" ({said})" if said else ""
