"""The typer app of ``exai monitor``."""

from __future__ import annotations

from collections.abc import Mapping

from exai_ops.commands.app import LazyGroup, new_app
from exai_ops.commands.entry import Entry
from exai_ops.commands.monitor import MONITOR_COMMANDS


class MonitorGroup(LazyGroup):
    """The commands of ``MONITOR_COMMANDS``."""

    def entries(self) -> Mapping[str, Entry]:
        return MONITOR_COMMANDS


monitor = new_app(cls=MonitorGroup, no_args_is_help=True, help="See the daemon's traffic, live and after.")


@monitor.callback()
def _root() -> None:
    """See the daemon's traffic, live and after."""
