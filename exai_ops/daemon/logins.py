"""Who has shown the token to the dashboard: cookies that stand for it, and how often one may guess. No I/O.

A cookie holds a random id, never the token; memory holds its hash alone. A login ends by logout, after
``LIFETIME_S``, with the daemon, and with the token that it was made by: whoever rotates the token logs
everybody out.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, NamedTuple

from exai_ops.settings import Secret

LIFETIME_S: Final = 12 * 3600
MOST: Final = 1000
"""Logins at once; one more ends the oldest."""
TRIES: Final = 10
WINDOW_S: Final = 60.0
"""Wrong tokens that one address may try within so many seconds."""
_ADDRESSES: Final = 10_000
_TRIES_OF_ALL: Final = 200


class _Login(NamedTuple):
    token: Secret
    until: float


class Logins:
    """All logins; ``clock`` gives monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logins: OrderedDict[bytes, _Login] = OrderedDict()

    def open(self, token: Secret) -> str:
        """A new login's id (256 bits), for who has shown this token."""
        now = self._clock()
        self._logins = OrderedDict((k, v) for k, v in self._logins.items() if v.until > now)
        if len(self._logins) >= MOST:
            self._logins.popitem(last=False)
        name = secrets.token_urlsafe(32)
        self._logins[_hash(name)] = _Login(token, now + LIFETIME_S)
        return name

    def valid(self, name: str | None, token: Secret) -> bool:
        """Whether a login lives and was made by the token of now, the same object."""
        login = self._logins.get(_hash(name)) if name else None
        return login is not None and login.token is token and self._clock() < login.until

    def close(self, name: str | None) -> None:
        """Log out."""
        if name:
            self._logins.pop(_hash(name), None)


class Tries:
    """How often a wrong token was shown, by address and in all; ``clock`` gives monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_place: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque()

    def wait_s(self, address: str) -> float:
        """How long this address must wait before its next try; 0 for not at all.

        The limit over all addresses is far higher: it bounds a guesser with many, at the price that he can
        keep others from logging in for as long as he guesses.
        """
        now = self._clock()
        mine = self._by_place.get(_place(address), deque())
        return max(_left(mine, TRIES, now), _left(self._all, _TRIES_OF_ALL, now))

    def failed(self, address: str) -> None:
        """It has shown a wrong one."""
        place = _place(address)
        now = self._clock()
        times = self._by_place.setdefault(place, deque(maxlen=TRIES))
        times.append(now)
        self._by_place.move_to_end(place)
        if len(self._by_place) > _ADDRESSES:
            self._by_place.popitem(last=False)
        self._all.append(now)
        if len(self._all) > _TRIES_OF_ALL:
            self._all.popleft()


def _left(times: deque[float], most: int, now: float) -> float:
    return 0.0 if len(times) < most else max(0.0, times[-most] + WINDOW_S - now)


def _place(address: str) -> str:
    """The address; of IPv6 its /64, of which one host may have all."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else str(ip)


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
