"""What a provider says when it refuses: message, code and when to ask again, from whatever it sent.

Everything here comes from the other side of the wire and may be anything: no JSON, huge, deeply nested,
holding the key that was sent. What comes out is short, on one line, and without the key.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from exai_ops.settings import Secret

MAX_BODY_BYTES: Final = 64 * 1024
MAX_MESSAGE: Final = 300
_MAX_CODE: Final = 64
_MAX_WAIT_S: Final = 7 * 86400.0
_UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
_TAG: Final = re.compile(r"<[^<>]*>")
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_RESET_HEADERS: Final = (
    "X-RateLimit-Reset",
    "X-RateLimit-Reset-Requests",
    "X-RateLimit-Reset-Tokens",
    "Msh-RateLimit-Reset",
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One refusal.

    Attributes:
        message: At most ``MAX_MESSAGE`` characters on one line; empty when nothing was said.
        code: The provider's inner code or, without one, its type.
        retry_after_s: Seconds to wait, or None.
    """

    message: str
    code: str | None
    retry_after_s: float | None = None


def read(headers: Mapping[str, str], body: bytes, secret: Secret, now: float | None = None) -> Complaint:
    """The complaint in an answer; ``now`` is seconds since the epoch, for dates in headers."""
    message, code = _message_and_code(body[:MAX_BODY_BYTES], secret)
    return Complaint(
        message=one_line(message, secret),
        code=one_line(code, secret)[:_MAX_CODE] or None,
        retry_after_s=retry_after(headers, time.time() if now is None else now),
    )


def one_line(text: str, secret: Secret) -> str:
    """``text`` without the key, without control characters, cut to a line."""
    line = _UNPRINTABLE.sub(" ", _start(text, secret)).strip()
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"


def _start(text: str, secret: Secret) -> str:
    """As much of ``text`` as a line may come from. The key goes first: cut through, it would not be found."""
    return (text.replace(secret.reveal(), "***") if secret else text)[: 20 * MAX_MESSAGE]


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait by ``Retry-After`` (RFC 9110, 10.2.3) or by the headers of rate limits."""
    if (raw := headers.get("Retry-After")) is not None and (wait := _wait(raw, now)) is not None:
        return wait
    resets = (_wait(headers[name], now) for name in _RESET_HEADERS if name in headers)
    return max((wait for wait in resets if wait is not None), default=None)


def _wait(raw: str, now: float) -> float | None:
    raw = raw.strip()[:64]
    seconds = _number(raw)
    if seconds is None:
        seconds = _duration(raw)
    if seconds is None:
        seconds = _until_date(raw, now)
    elif seconds > 1e9:  # a point in time, in seconds or milliseconds since the epoch
        seconds = (seconds / 1000 if seconds > 1e11 else seconds) - now
    return None if seconds is None else min(max(seconds, 0.0), _MAX_WAIT_S)


def _number(raw: str) -> float | None:
    try:
        value = float(raw)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _duration(raw: str) -> float | None:
    """``1m30s``, ``250ms``."""
    match = _DURATION.fullmatch(raw)
    if not match or not any(match.groups()):
        return None
    hours, minutes, seconds, millis = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds + millis / 1000


def _until_date(raw: str, now: float) -> float | None:
    try:
        return parsedate_to_datetime(raw).timestamp() - now
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def _message_and_code(body: bytes, secret: Secret) -> tuple[str, str]:
    try:
        said = msgspec.json.decode(body)
    except _UNDECODABLE:
        return _TAG.sub(" ", _start(body.decode("utf-8", "replace"), secret)), ""
    if not isinstance(said, dict):
        return said if isinstance(said, str) else "", ""
    inner = said.get("error", said)
    if isinstance(inner, dict):
        return _first(inner, "message", "msg", "detail"), _first(inner, "code", "type")
    return _first(said, "error", "message"), _first(said, "code", "type")


def _first(said: dict[str, Any], *names: str) -> str:
    """The first of these that holds text or a number, as text."""
    for name in names:
        value = said.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value) if isinstance(value, str) or abs(value) < 10**18 else ""
    return ""
