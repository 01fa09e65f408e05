"""The documented example of every variable: what ``.env.example`` holds."""

from __future__ import annotations

from exai_ops.settings.model import VARIABLES
from exai_ops.settings.stack import SECTION, STACK_VARIABLES
from exai_ops.settings.variable import Variable

_HEAD = (
    "# Settings of exai. Copy to .env (`make serve`) or .env.docker (the compose stack) and change what",
    "# you need: each value shown is the default, an empty one means unset. Written by",
    "# `exai settings example`; do not edit by hand.",
)


def env_example() -> str:
    """Every variable in its section, with a comment, at its default; those of the stack last."""
    lines = list(_HEAD)
    section = ""
    for variable in VARIABLES:
        if variable.section != section:
            section = variable.section
            lines += ["", f"# --- {section} ---"]
        lines += ["", *_comment(_told(variable)), f"{variable.name}={variable.show(variable.default)}"]
    lines += ["", f"# --- {SECTION} ---"]
    for extra in STACK_VARIABLES:
        lines += ["", *_comment(extra.comment), f"{extra.name}={extra.default}"]
    return "\n".join(lines) + "\n"


def _told(variable: Variable) -> str:
    text = f"{variable.comment} Takes {variable.allowed()}."
    if variable.aliases:
        text += f" Also read as {', '.join(variable.aliases)}."
    return text


def _comment(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(
        text, 98, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )
