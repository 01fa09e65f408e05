"""``exai sem``: permits that leak, in the daemon and in any live Python process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from exai_ops.commands.entry import Entry

_HERE: Final = "exai_ops.commands.sem"
SEM_COMMANDS: Final[Mapping[str, Entry]] = {
    "check": Entry(f"{_HERE}.check", "check", "Say who holds each permit, and which are lost."),
    "watch": Entry(f"{_HERE}.watch", "watch", "Follow a process, and say when a permit is lost."),
    "top": Entry(f"{_HERE}.top", "top", "Show a process's semaphores, live."),
    "lint": Entry(f"{_HERE}.lint", "lint", "Find, in source, the ways in which permits are lost."),
}
