"""Where a command lives; without typer, which half of a quick command's time would go to."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """Where a command lives: ``attribute`` of ``module`` is its function, or its typer app."""

    module: str
    attribute: str
    help: str
