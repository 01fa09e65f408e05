"""Failures below HTTP say what failed, and where."""

from __future__ import annotations

import errno
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from exai_ops.errors import ProviderTimeout, ProviderUnavailable
from exai_ops.providers.transport import transport_failure

PEER = ConnectionKey("api.test", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("error", "pieces", "kind", "words"),
    [
        (aiohttp.ClientConnectorDNSError(PEER, OSError(-2, "x")), 0, ProviderUnavailable, "DNS"),
        (
            aiohttp.ClientConnectorError(PEER, OSError(errno.ECONNREFUSED, "x")),
            0,
            ProviderUnavailable,
            "connect: failed (Connection refused)",
        ),
        (
            aiohttp.ClientConnectorCertificateError(PEER, ssl.CertificateError("x")),
            0,
            ProviderUnavailable,
            "TLS: the certificate",
        ),
        (
            aiohttp.ClientConnectorSSLError(PEER, ssl.SSLError(1, "x")),
            0,
            ProviderUnavailable,
            "TLS: the hand",
        ),
        (aiohttp.ConnectionTimeoutError(), 0, ProviderTimeout, "connect: not accepted in time"),
        (aiohttp.SocketTimeoutError(), 0, ProviderTimeout, "stalled before an answer"),
        (aiohttp.SocketTimeoutError(), 4, ProviderTimeout, "stream stalled after 4 pieces"),
        (aiohttp.ServerDisconnectedError(), 0, ProviderUnavailable, "connection cut before an answer"),
        (aiohttp.ClientPayloadError("x"), 3, ProviderUnavailable, "stream cut after 3 pieces"),
        (ConnectionResetError(), 2, ProviderUnavailable, "stream cut after 2 pieces"),
    ],
)
def test_what_failed(error: Exception, pieces: int, kind: type[Exception], words: str) -> None:
    failure = transport_failure("kimi", "api.test:443", error, pieces)
    assert type(failure) is kind
    assert failure.message.startswith("kimi at api.test:443: ")
    assert words in failure.message
