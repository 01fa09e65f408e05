"""How every command's typer app is made."""

from __future__ import annotations

from typing import Any

import typer


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
