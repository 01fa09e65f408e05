"""The typer app of ``exai env``."""

from __future__ import annotations

from collections.abc import Mapping

from exai_ops.commands.app import LazyGroup, new_app
from exai_ops.commands.entry import Entry
from exai_ops.commands.env import ENV_COMMANDS


class EnvGroup(LazyGroup):
    """The commands of ``ENV_COMMANDS``."""

    def entries(self) -> Mapping[str, Entry]:
        return ENV_COMMANDS


env = new_app(cls=EnvGroup, no_args_is_help=True, help="Check, explain, compare and mend environment files.")


@env.callback()
def _root() -> None:
    """Check, explain, compare and mend environment files."""
