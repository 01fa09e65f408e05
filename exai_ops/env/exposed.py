"""Whether git would take up the backup of a file that it is told to leave alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

_ANSWER_S: Final = 20.0


def is_exposed(path: Path, backup: Path) -> bool:
    """Whether git ignores a file and not its backup, which lies beside it; False where git cannot say."""
    from exai_ops.env.git import QUIET, environ

    quiet = [option for option in QUIET if option != "--literal-pathspecs"]  # which check-ignore refuses
    names = [b"./" + os.fsencode(one.name) for one in (path, backup)]  # a name may begin with a colon
    command = ["git", "-C", str(path.parent), *quiet, "check-ignore", "-z", "--stdin"]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            input=b"\0".join(names),
            capture_output=True,
            env=environ(),
            timeout=_ANSWER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    ignored = done.stdout.split(b"\0")
    return names[0] in ignored and names[1] not in ignored
