"""What the screen shows of a state frame, its free-form parts under names."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from exai_ops.errors import CouldNotLook
from exai_ops.monitor.wire import Rates, State

HISTORY: Final = 300
"""Points that are kept; one a state."""

T = TypeVar("T")


class Limit(msgspec.Struct):
    """A limit's permits."""

    limit: int
    held: int


class Holder(msgspec.Struct):
    """Who holds a permit."""

    tool: str
    session: str
    request: str
    provider: str | None
    site: str
    age_s: float
    leak: str | None


class Permits(msgspec.Struct):
    """The ledger; holders oldest first."""

    limits: dict[str, Limit]
    waiting: int
    queue_limit: int
    holders: list[Holder]
    leaked: int
    broken: list[str]


class Lately(msgspec.Struct):
    """The last minute of a series."""

    rates: Rates
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Series(msgspec.Struct):
    """A function and direction of a type."""

    connection_type: str
    function_name: str
    direction: str
    count: int
    data_size_bytes: int
    errors: int
    recent: Lately


class Provider(msgspec.Struct):
    """A provider and its breaker."""

    name: str
    configured: bool
    breaker: str
    consecutive_failures: int = 0
    last_error: str | None = None
    last_ok_at: float | None = None
    key_refused: bool = False


class Now:
    """A state, read. Raises CouldNotLook for one of another form."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.permits = _read(state.permits, Permits)
        self.functions = _read(state.functions, list[Series])
        self.providers = {one.name: one for one in _read(state.providers, list[Provider])}

    def rates(self) -> dict[str, float]:
        """Of all types together, under the names of ``Rates``."""
        every = [msgspec.structs.asdict(one.rates) for one in self.state.types.values()]
        return {name: sum(one[name] for one in every) for name in Rates.__struct_fields__}

    def slowest(self) -> tuple[str, float] | None:
        """The type with the largest p95 of the last minute, and that; None where nothing was timed."""
        timed = [(one.p95_ms, name) for name, one in self.state.types.items() if one.p95_ms is not None]
        if not timed:
            return None
        p95_ms, name = max(timed)
        return name, p95_ms


def _read(raw: Any, shape: type[T]) -> T:
    try:
        return msgspec.convert(raw, shape)
    except msgspec.ValidationError as error:
        raise CouldNotLook(
            f"the daemon's state has another form: {error}", hint="exai version, here and there"
        ) from error


class History:
    """Rate and p95 of each state, of all types (the largest p95) and of each; None where some are missing."""

    def __init__(self) -> None:
        self._points: deque[dict[str, tuple[float, float | None]] | None] = deque(maxlen=HISTORY)
        self._all: deque[tuple[float, float | None] | None] = deque(maxlen=HISTORY)

    def add(self, now: Now) -> None:
        """A state came."""
        self._points.append(
            {name: (one.rates.events_1s, one.p95_ms) for name, one in now.state.types.items()}
        )
        slowest = now.slowest()
        self._all.append((now.rates()["events_1s"], None if slowest is None else slowest[1]))

    def gap(self) -> None:
        """States are missing from here."""
        if self._all and self._all[-1] is not None:
            self._points.append(None)
            self._all.append(None)

    def copied(self) -> History:
        """What is known now, for whoever holds it still."""
        other = History()
        other._points, other._all = self._points.copy(), self._all.copy()
        return other

    def rate(self, type_: str | None = None) -> Sequence[float | None]:
        """Events per second, oldest first."""
        return [None if point is None else point[0] for point in self._of(type_)]

    def p95_ms(self, type_: str | None = None) -> Sequence[float | None]:
        """95th percentiles, oldest first."""
        return [None if point is None else point[1] for point in self._of(type_)]

    def _of(self, type_: str | None) -> Sequence[tuple[float, float | None] | None]:
        if type_ is None:
            return list(self._all)
        return [None if point is None else point.get(type_) for point in self._points]
