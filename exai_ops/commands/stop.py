"""``exai stop``: end the running daemon, found by its state file, and say what it waits for meanwhile."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from exai_ops.errors import CouldNotLook, ExaiError, TimeRanOut, UsageError
from exai_ops.settings import Settings, environment, load

if TYPE_CHECKING:
    from exai_ops.daemon.runstate import RunState

_LOOK_S: Final = 0.05
_TELL_S: Final = 1.0
"""Between two looks at what it waits for; an idle daemon has ended before the first."""


def stop(
    port: Annotated[int | None, typer.Option(help="Port of the daemon (EXAI_WS_PORT).")] = None,
    wait: Annotated[float | None, typer.Option(help="Seconds to wait; EXAI_DRAIN_SECS and 5 more.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Do not let it finish its calls.")] = False,
    env_file: Annotated[
        Path | None, typer.Option(help="Dotenv file beneath the environment; .env if it exists.")
    ] = None,
) -> int:
    """Ask the running daemon to drain and end, and wait until it has."""
    settings = load(environment(env_file), overrides={} if port is None else {"ws_port": port})
    state = _running(settings)
    _ask(state, force=force)
    deadline_s = wait if wait is not None else settings.drain_s + 5
    if not _ended(settings, state, deadline_s):
        raise TimeRanOut(
            f"pid {state.pid} still drains after {deadline_s:g} s",
            hint="`exai status` shows its calls; `exai stop --force` cuts them",
        )
    typer.echo(f"stopped: pid {state.pid}, port {state.port}")
    return 0


def _running(settings: Settings) -> RunState:
    from exai_ops.commands.page import absent_hint
    from exai_ops.daemon import runstate

    state = runstate.read(settings, settings.ws_port)
    if state is None or not state.alive():
        raise CouldNotLook(
            f"no exai daemon runs on port {settings.ws_port}", hint=absent_hint(settings, settings.ws_port)
        )
    if runstate.suspended(state.pid):
        raise ExaiError(
            f"pid {state.pid} is stopped by a signal, so that it cannot drain",
            hint=f"kill -CONT {state.pid} lets it go on; then `exai stop`",
        )
    return state


def _ask(state: RunState, *, force: bool) -> None:
    try:
        os.kill(state.pid, signal.SIGTERM)
        if force:
            os.kill(state.pid, signal.SIGINT)  # another one: two of a kind may arrive as one
    except PermissionError as error:
        raise UsageError(f"pid {state.pid} belongs to another user", hint="run it as that user") from error
    except ProcessLookupError:
        pass


def _ended(settings: Settings, state: RunState, timeout_s: float) -> bool:
    """Whether a daemon has ended within the time, be it reaped by its parent or not."""
    began = time.monotonic()
    tell_at = began + _TELL_S if sys.stderr.isatty() else float("inf")
    told = False
    while state.alive():
        now = time.monotonic()
        if now > began + timeout_s:
            break
        if now >= tell_at:
            sys.stderr.write(f"\r\x1b[K{now - began:.0f} s  {_waits_for(settings, state)}")
            sys.stderr.flush()
            told, tell_at = True, now + _TELL_S
        time.sleep(_LOOK_S)
    if told:
        sys.stderr.write("\r\x1b[K")
    return not state.alive()


def _waits_for(settings: Settings, state: RunState) -> str:
    """What a draining daemon still has to do, as far as it says."""
    from exai_ops.commands.page import State, page

    try:
        _, seen = page(settings, "/status", State, timeout_s=_TELL_S)
    except ExaiError:  # its port closes before its process ends
        return f"pid {state.pid} is ending"
    calls = seen.inflight + seen.queued
    return f"pid {state.pid} drains, {calls} call{'s' if calls != 1 else ''} left"
