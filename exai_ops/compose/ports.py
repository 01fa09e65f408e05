"""What a service publishes, from the short and the long syntax of ``ports``."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

_ANY: Final = "0.0.0.0"  # noqa: S104 - judged, not bound
_LONGEST: Final = 200
_SHORT: Final = re.compile(
    r"""(?:(?P<host>\[[^\]]*\]|[0-9a-z.:%-]*):(?=[^:]*:[^:]*$))?  # an address only before two more parts
        (?:(?P<published>[0-9]*(?:-[0-9]+)?):)?
        (?P<target>[0-9]+(?:-[0-9]+)?)
        (?:/(?P<protocol>[a-z]+))?""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port, or a range of them, of a service.

    Attributes:
        host: Address that it is published on; empty means every interface.
        published: First and last on the host, or None when the engine chooses one.
        target: First and last in the container.
    """

    host: str
    published: tuple[int, int] | None
    target: tuple[int, int]
    protocol: str = "tcp"

    @property
    def open_to_all(self) -> bool:
        """Whether other machines reach it."""
        return self.host in ("", _ANY, "::")

    def collides(self, other: Port) -> bool:
        """Whether both cannot be bound on one host."""
        if self.published is None or other.published is None or self.protocol != other.protocol:
            return False
        same_host = self.open_to_all or other.open_to_all or self.host == other.host
        (low, high), (other_low, other_high) = self.published, other.published
        # As many container ports as a published range has are one each; a range for one port is a choice.
        return same_host and low <= other_high and other_low <= high


def parse_port(entry: object) -> Port | None:
    """A port from one entry of ``ports``, or None when it is none."""
    if isinstance(entry, Mapping):
        return _long(entry)
    match = _SHORT.fullmatch(str(entry)[:_LONGEST].strip().lower()) if isinstance(entry, str | int) else None
    target = _range(match["target"]) if match else None
    if match is None or target is None:
        return None
    return Port(
        host=(match["host"] or "").strip("[]"),
        published=_range(match["published"]),
        target=target,
        protocol=match["protocol"] or "tcp",
    )


def _long(entry: Mapping[str, Any]) -> Port | None:
    target = _range(entry.get("target"))
    if target is None:
        return None
    return Port(
        host=str(entry.get("host_ip") or "").strip("[]"),
        published=_range(entry.get("published")),
        target=target,
        protocol=str(entry.get("protocol") or "tcp").lower(),
    )


def _range(value: object) -> tuple[int, int] | None:
    low, _, high = str("" if value is None else value).partition("-")
    if not (low.isascii() and low.isdecimal() and len(low) < 7) or (high and not high.isdecimal()):
        return None
    return int(low), int(high[:6] or low)


def key_of(entry: object) -> Hashable:
    """What makes an entry of ``ports`` another one than the next: address, ports and protocol."""
    port = parse_port(entry)
    if port is None:
        return str(entry)
    return ("" if port.host == _ANY else port.host, port.published, port.target, port.protocol)


def ports_of(body: Mapping[str, Any]) -> Iterable[tuple[int, Port]]:
    """Each port of a service with its index in ``ports``."""
    entries = body.get("ports")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        port = parse_port(entry)
        if port is not None:
            yield index, port
