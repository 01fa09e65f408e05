"""A queue that is fair between sessions, as a pure data structure.

Each provider keeps the sessions that wait for it in a ring and serves one item of each in turn, so that
a session with a thousand items delays another's by one. Of the sessions in front of the rings, the one
served longest ago comes first, so that a session does not gain by waiting for several providers. A session
that may take no more is parked: out of every ring until ``unpark``, at the cost of one look. Every
operation is O(1) but for ``newest_of`` and ``newest_of_longest``, which look at each provider or waiting
session and are needed only when the queue is full.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class FairQueue(Generic[T]):
    """Items by (provider, session); ``None`` as provider stands for work that needs none."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str | None, str], OrderedDict[T, None]] = {}
        self._rings: dict[str | None, deque[str]] = {}
        self._parked: dict[str, list[str | None]] = {}
        self._by_session: dict[str, int] = {}
        self._turns: dict[str, int] = {}
        self._turn = itertools.count()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def waiting_of(self, session: str) -> int:
        """Items of one session."""
        return self._by_session.get(session, 0)

    def sessions(self) -> dict[str, int]:
        """Items of each session that has any."""
        return dict(self._by_session)

    def push(self, provider: str | None, session: str, item: T) -> None:
        """Add an item behind the session's others."""
        lane = self._lanes.get((provider, session))
        if lane is None:
            lane = self._lanes[provider, session] = OrderedDict()
            self._rings.setdefault(provider, deque()).append(session)
        lane[item] = None
        self._size += 1
        before = self._by_session.get(session, 0)
        self._by_session[session] = before + 1
        if not before:
            self._turns[session] = next(self._turn)

    def discard(self, provider: str | None, session: str, item: T) -> bool:
        """Take an item out wherever it stands; False when it is not there."""
        lane = self._lanes.get((provider, session))
        if lane is None or item not in lane:
            return False
        del lane[item]
        self._size -= 1
        left = self._by_session[session] - 1
        if left:
            self._by_session[session] = left
        else:
            del self._by_session[session], self._turns[session]
        if not self._size:
            self._clear()
        return True

    def pop(
        self, provider_room: Callable[[str | None], bool], session_room: Callable[[str], bool]
    ) -> T | None:
        """The next item that there is room for, or None. Providers take turns, too."""
        turns, first, chosen = self._turns, math.inf, None
        for provider in self._rings:
            if provider_room(provider):
                session = self._front(provider, session_room)
                if session is not None and turns[session] < first:
                    first, chosen = turns[session], (provider, session)
        return None if chosen is None else self._take(*chosen)

    def unpark(self, session: str) -> None:
        """The session may take items again."""
        for provider in self._parked.pop(session, ()):
            self._rings[provider].append(session)

    def newest_of_longest(self) -> tuple[str, T] | None:
        """The session with the most items and the last item of its longest lane; None when empty."""
        if not self._by_session:
            return None
        session = max(self._by_session, key=self._by_session.__getitem__)
        return session, self.newest_of(session)

    def newest_of(self, session: str) -> T:
        """The last item of the longest lane of a session that has any."""
        lanes = [lane for provider in self._rings if (lane := self._lanes.get((provider, session)))]
        lengths = [len(lane) for lane in lanes]
        return next(reversed(lanes[lengths.index(max(lengths))]))

    def _front(self, provider: str | None, session_room: Callable[[str], bool]) -> str | None:
        """The session whose turn it is at a provider; those without an item or room leave the ring."""
        ring = self._rings[provider]
        while ring:
            session = ring[0]
            if not self._lanes[provider, session]:
                del self._lanes[provider, session]
            elif session_room(session):
                return session
            else:
                self._parked.setdefault(session, []).append(provider)
            ring.popleft()
        return None

    def _take(self, provider: str | None, session: str) -> T:
        """The first item of the session in front of a ring; both go to the end of their rows."""
        item = next(iter(self._lanes[provider, session]))
        ring = self._rings[provider] = self._rings.pop(provider)
        ring.rotate(-1)
        self._turns[session] = next(self._turn)
        self.discard(provider, session, item)
        return item

    def _clear(self) -> None:
        self._lanes.clear()
        self._rings.clear()
        self._parked.clear()
