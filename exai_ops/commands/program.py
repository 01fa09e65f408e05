"""The command line under which this process was started, for hints that can be pasted as they are."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Final

NAME: Final = "exai"
"""What messages call it, and what it is called where nothing better is known."""


def program(argv: Sequence[str] | None = None, orig_argv: Sequence[str] | None = None) -> str:
    """``exai`` where the shell finds it, else what was typed: ``.venv/bin/exai``, ``python -m exai_ops``.

    The arguments default to the process's own ``sys.argv`` and ``sys.orig_argv``.
    """
    argv, orig_argv = argv or sys.argv, orig_argv or sys.orig_argv
    script = PurePath(argv[0])
    if script.parts[-2:] == ("exai_ops", "__main__.py"):
        return f"{shlex.quote(orig_argv[0])} -m exai_ops"
    if script.name != NAME or _on_path(argv[0]):
        return NAME
    return shlex.quote(argv[0])


def _on_path(script: str) -> bool:
    import shutil

    return shutil.which(NAME) == script


def spelled(hint: str, commands: Iterable[str], name: str | None = None) -> str:
    """A hint whose ``exai COMMAND`` are written as this process was started; ``name`` defaults to that."""
    name = program() if name is None else name
    if name == NAME:
        return hint
    return re.sub(rf"(?<![\w./-]){NAME} (?=(?:--help|{'|'.join(commands)})\b)", lambda _: f"{name} ", hint)
