"""A queue that is fair between sessions, as a pure data structure.

Each provider keeps the sessions that wait for it in a ring and serves one item of each in turn, so that
a session with a thousand items delays another's by one. A session that may take no more is parked:
out of every ring until ``unpark``, at the cost of one look. Every operation is O(1) but for
``newest_of_longest``, which looks at each waiting session and is needed only when the queue is full.
"""

from __future__ import annotations

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
        self._by_session[session] = self._by_session.get(session, 0) + 1

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
            del self._by_session[session]
        if not self._size:
            self._clear()
        return True

    def pop(
        self, provider_room: Callable[[str | None], bool], session_room: Callable[[str], bool]
    ) -> T | None:
        """The next item that there is room for, or None. Providers take turns, too."""
        for provider in list(self._rings):
            item = self._pop_of(provider, provider_room, session_room)
            if item is not None:
                if provider in self._rings:
                    self._rings[provider] = self._rings.pop(provider)
                return item
        return None

    def unpark(self, session: str) -> None:
        """The session may take items again."""
        for provider in self._parked.pop(session, ()):
            self._rings[provider].append(session)

    def newest_of_longest(self) -> tuple[str, T] | None:
        """The session with the most items and the last item of its longest lane; None when empty."""
        if not self._by_session:
            return None
        session = max(self._by_session, key=self._by_session.__getitem__)
        lanes = [lane for provider in self._rings if (lane := self._lanes.get((provider, session)))]
        lengths = [len(lane) for lane in lanes]
        return session, next(reversed(lanes[lengths.index(max(lengths))]))

    def _pop_of(
        self,
        provider: str | None,
        provider_room: Callable[[str | None], bool],
        session_room: Callable[[str], bool],
    ) -> T | None:
        ring = self._rings[provider]
        if not provider_room(provider):
            return None
        while ring:
            session = ring.popleft()
            lane = self._lanes[provider, session]
            if not lane:
                del self._lanes[provider, session]
            elif not session_room(session):
                self._parked.setdefault(session, []).append(provider)
            else:
                item = next(iter(lane))
                ring.append(session)
                self.discard(provider, session, item)
                return item
        return None

    def _clear(self) -> None:
        self._lanes.clear()
        self._rings.clear()
        self._parked.clear()
