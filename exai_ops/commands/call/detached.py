"""What a call needs to be fetched later: kept in the state folder, since it holds a secret.

A ticket stays, so that a result can be fetched again for as long as the daemon keeps it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exai_ops.errors import ExaiError, UsageError
from exai_ops.settings import Secret, Settings

KEPT_S: Final = 2 * 86400.0
"""How long a ticket is kept: longer than a daemon at its defaults knows a session that nobody takes up."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A call that goes on without its client."""

    request_id: str
    session_id: str
    resume: Secret
    url: str
    tool: str


def keep(settings: Settings, ticket: Ticket) -> None:
    """Write a ticket, readable by its owner alone. Raises ExaiError."""
    path = _path(settings, ticket.request_id)
    fields = {"session_id": ticket.session_id, "url": ticket.url, "tool": ticket.tool}
    text = json.dumps(fields | {"resume": ticket.resume.reveal()})
    _drop_old(path.parent, time.time() - KEPT_S)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
    except OSError as error:
        raise ExaiError(f"{path}: {error.strerror}", hint="EXAI_STATE_DIR names the folder") from error


def find(settings: Settings, request_id: str) -> Ticket:
    """The ticket of a request. Raises UsageError."""
    path = _path(settings, request_id)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        resume = Secret(kept["resume"])
        return Ticket(request_id, kept["session_id"], resume, kept["url"], kept["tool"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "--detach prints the id, and keeps its ticket in EXAI_STATE_DIR"
        raise UsageError(f"--fetch: no ticket of a detached call {request_id!r}", hint=hint) from error


def drop(settings: Settings, request_id: str) -> None:
    """Forget a ticket of a call that the daemon does not know any more."""
    _path(settings, request_id).unlink(missing_ok=True)


def _drop_old(folder: Path, before: float) -> None:
    for path in folder.glob("*.json"):
        with contextlib.suppress(OSError):  # another command drops them too
            if path.stat().st_mtime < before:
                path.unlink()


def _path(settings: Settings, request_id: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", request_id):
        raise UsageError("--fetch: is not the id of a detached call")
    return settings.state_dir.expanduser() / "detached" / f"{request_id}.json"
