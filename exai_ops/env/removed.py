"""Variables that once were read and are not any more: since when, and what stands in their place."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final, NamedTuple


class Removed(NamedTuple):
    """Variables that nothing reads any more.

    Attributes:
        pattern: Of their names (fnmatch).
        since: When they went, to stand behind ``since``.
        instead: What to set in their place, or empty when there is nothing to set.
        why: What became of what they were for.
    """

    pattern: str
    since: str
    instead: str
    why: str


_BUS: Final = "2025-10-18"
_OURS: Final = "exai 0.1"
_ONE_PORT: Final = "one port serves WebSocket, MCP, health and metrics"
_ALWAYS: Final = "it is always on, on the daemon's own port"

REMOVED: Final = (
    Removed("MESSAGE_BUS_*", _BUS, "", "the message bus was taken out"),
    Removed("MONITORING_PORT", _OURS, "EXAI_WS_PORT", _ONE_PORT),
    Removed("HEALTH_CHECK_PORT", _OURS, "EXAI_WS_PORT", _ONE_PORT),
    Removed("METRICS_PORT", _OURS, "EXAI_WS_PORT", _ONE_PORT),
    Removed("METRICS_JSON_PORT", _OURS, "EXAI_WS_PORT", _ONE_PORT),
    Removed("MONITORING_HOST", _OURS, "EXAI_WS_HOST", _ONE_PORT),
    Removed("HEALTH_CHECK_HOST", _OURS, "EXAI_WS_HOST", _ONE_PORT),
    Removed("MONITORING_ENABLED", _OURS, "", _ALWAYS),
    Removed("HEALTH_CHECK_ENABLED", _OURS, "", _ALWAYS),
    Removed("METRICS_ENABLED", _OURS, "", _ALWAYS),
    Removed("METRICS_JSON_ENDPOINT_ENABLED", _OURS, "", _ALWAYS),
    Removed("PERFORMANCE_METRICS_ENABLED", _OURS, "", _ALWAYS),
    Removed("EXAI_WS_MAX_MSG_BYTES", _OURS, "EXAI_WS_MAX_BYTES", "it has another name"),
    Removed("EXAI_WS_DAEMON_TIMEOUT", _OURS, "EXAI_WS_CALL_TIMEOUT", "it has another name"),
    Removed("EXAI_WS_CLOSE_TIMEOUT", _OURS, "", "the daemon has no such setting"),
    Removed("EXAI_WS_COMPAT_TEXT", _OURS, "", "the daemon has no such setting"),
    Removed("EX_ENSURE_NONEMPTY_FIRST", _OURS, "", "the daemon has no such setting"),
)
_EXACT: Final = {entry.pattern: entry for entry in REMOVED if "*" not in entry.pattern}
_PATTERNS: Final = tuple(entry for entry in REMOVED if "*" in entry.pattern)


def removed(key: str) -> Removed | None:
    """What is known of a variable that is gone, or None."""
    return _EXACT.get(key) or next((e for e in _PATTERNS if fnmatchcase(key, e.pattern)), None)
