"""How every command's typer app is made, and how a group imports a command when it is run."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from exai_ops.commands.entry import Entry


def new_app(**options: Any) -> typer.Typer:
    """A typer app as every one here is: no rich, no completion installer, help on ``-h`` too."""
    settings = {"help_option_names": ["--help", "-h"]} | options.pop("context_settings", {})
    return typer.Typer(
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings=settings,
        **options,
    )


class LazyGroup(TyperGroup):
    """A group that lists its commands from ``entries`` and imports one when it is run.

    Contexts and formatters are ``Any``: their classes live in ``typer._click``, which is private, and
    ``typer.Context`` is a subclass of what a group is handed.
    """

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = dict.fromkeys(self.entries())  # type: ignore[assignment]  # names, for suggestions

    def entries(self) -> Mapping[str, Entry]:
        """The commands by name, in the order in which they are listed."""
        raise NotImplementedError

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(self.entries())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        entry = self.entries().get(cmd_name)
        return None if entry is None else _load(cmd_name, entry)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.entries().items()])


def _load(name: str, entry: Entry) -> Any:
    target = getattr(importlib.import_module(entry.module), entry.attribute)
    if not isinstance(target, typer.Typer):
        app = new_app()
        app.command(name)(target)
        target = app
    command = typer.main.get_command(target)
    command.name = name
    return command
