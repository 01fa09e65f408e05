"""``exai monitor``: the daemon's traffic, live and after the fact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from exai_ops.commands.entry import Entry

_HERE: Final = "exai_ops.commands.monitor"
MONITOR_COMMANDS: Final[Mapping[str, Entry]] = {
    "tail": Entry(f"{_HERE}.tail", "tail", "Follow the traffic as it happens."),
    "top": Entry(f"{_HERE}.top", "top", "Watch rates, percentiles and permits, live."),
    "stats": Entry(f"{_HERE}.stats", "stats", "Totals, rates and percentiles."),
    "trace": Entry(f"{_HERE}.trace", "trace", "Show where one call's time went."),
    "export": Entry(f"{_HERE}.export", "export", "Write events to a file."),
    "analyze": Entry(f"{_HERE}.analyze", "analyze", "Say what went wrong in recorded traffic."),
}
