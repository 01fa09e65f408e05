"""``exai monitor``: the daemon's traffic, live and after the fact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from exai_ops.commands.entry import Entry

_HERE: Final = "exai_ops.commands.monitor"
MONITOR_COMMANDS: Final[Mapping[str, Entry]] = {
    "tail": Entry(f"{_HERE}.tail", "tail", "Follow the traffic as it happens."),
    "analyze": Entry(f"{_HERE}.analyze", "analyze", "Say what was wrong in recorded traffic."),
}
