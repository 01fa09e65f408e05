"""Which daemon is meant."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from exai_ops.errors import UsageError
from exai_ops.settings import Secret, Settings

_ANY: dict[str, str] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what it listens on is not an address to dial


@dataclass(frozen=True, slots=True)
class Target:
    """An address to dial, and the token to show there."""

    url: str
    token: Secret

    @classmethod
    def of(cls, settings: Settings, url: str | None = None) -> Target:
        """The daemon that the settings describe, or the one at ``url``. Raises UsageError."""
        return cls(_of_settings(settings) if url is None else _checked(url), settings.ws_token)


def _of_settings(settings: Settings) -> str:
    if settings.ws_port == 0:
        raise UsageError(
            "EXAI_WS_PORT is 0, so the daemon's port is not known", hint="give its address with --url"
        )
    host = settings.ws_host.strip("[]")
    host = _ANY.get(host, host)
    return f"ws://{f'[{host}]' if ':' in host else host}:{settings.ws_port}/"


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise UsageError("--url: is not a ws:// or wss:// URL", hint="ws://127.0.0.1:8079/")
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError("--url: carries more than an address", hint="the token belongs in EXAI_WS_TOKEN")
    return url
