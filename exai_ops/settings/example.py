"""The documented example of every variable: what ``.env.example`` holds."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from exai_ops.settings.model import VARIABLES
from exai_ops.settings.variable import Variable

_HEAD = (
    "# Settings of exai. Copy to .env and change what you need: each value shown is the default,",
    "# an empty one means unset. Written by `exai settings example`; do not edit by hand.",
)


def env_example() -> str:
    """Every variable in its section, with a comment, at its default."""
    lines = list(_HEAD)
    section = ""
    for variable in VARIABLES:
        if variable.section != section:
            section = variable.section
            lines += ["", f"# --- {section} ---"]
        lines += ["", *_comment(variable), f"{variable.name}={variable.show(variable.default)}"]
    return "\n".join(lines) + "\n"


def _comment(variable: Variable) -> Iterable[str]:
    text = f"{variable.comment} Takes {variable.allowed()}."
    if variable.aliases:
        text += f" Also read as {', '.join(variable.aliases)}."
    return textwrap.wrap(
        text, 98, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )
