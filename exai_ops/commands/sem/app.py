"""The typer app of ``exai sem``."""

from __future__ import annotations

from collections.abc import Mapping

from exai_ops.commands.app import LazyGroup, new_app
from exai_ops.commands.entry import Entry
from exai_ops.commands.sem import SEM_COMMANDS


class SemGroup(LazyGroup):
    """The commands of ``SEM_COMMANDS``."""

    def entries(self) -> Mapping[str, Entry]:
        return SEM_COMMANDS


sem = new_app(cls=SemGroup, no_args_is_help=True, help="Find permits that leak, in any live Python process.")


@sem.callback()
def _root() -> None:
    """Find permits that leak, in any live Python process."""
