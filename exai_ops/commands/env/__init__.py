"""``exai env``: environment files, checked, explained, compared and mended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from exai_ops.commands.entry import Entry

_HERE: Final = "exai_ops.commands.env"
ENV_COMMANDS: Final[Mapping[str, Entry]] = {
    "check": Entry(f"{_HERE}.check", "check", "Say what is wrong with the environment files."),
    "explain": Entry(f"{_HERE}.explain", "explain", "Show what each service and reader gets for a key."),
    "diff": Entry(f"{_HERE}.diff", "diff", "Compare two environment files by key."),
    "sync": Entry(f"{_HERE}.sync", "sync", "Make the example follow the live file, or the reverse."),
    "fix": Entry(f"{_HERE}.fix", "fix", "Mend what has one right answer."),
    "scan": Entry(f"{_HERE}.scan", "scan", "Find secrets in tracked files and in git history."),
}
