"""``exai status``: what the running daemon says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exai_ops.commands.terminal import visible
from exai_ops.errors import UsageError
from exai_ops.settings import environment, load

if TYPE_CHECKING:
    from exai_ops.commands.page import Health, State


def status(
    port: Annotated[int | None, typer.Option(help="Port of the daemon (EXAI_WS_PORT).")] = None,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    env_file: Annotated[
        Path | None, typer.Option(help="Dotenv file beneath the environment; .env if it exists.")
    ] = None,
) -> int:
    """Say what the running daemon is doing: exit 0 when it is well, 1 when not, 3 when none answers."""
    if output not in ("text", "json"):
        raise UsageError(f"--format: {output!r} is not known", hint="text or json")
    settings = load(environment(env_file), overrides={} if port is None else {"ws_port": port})
    from exai_ops.commands.page import Health, State, page

    raw_health, health = page(settings, "/health", Health)
    raw_state, state = page(settings, "/status", State)
    if output == "json":
        typer.echo(json.dumps({"health": raw_health, "status": raw_state}, indent=2))
    else:
        # Names of requests and words of providers are in it.
        typer.echo("\n".join(visible(line, keep="") for line in _lines(health, state)))
    return 0 if health.status == "ok" else 1


def _lines(health: Health, state: State) -> list[str]:
    simulated = ", answers simulated" if health.simulated else ""
    life = f"pid {health.pid}, up {health.uptime_human}, version {health.version}{simulated}"
    calls = f"in flight {health.inflight}/{health.global_capacity}, queued {health.queued}"
    lines = [
        f"{health.status}: {life}",
        f"sessions {health.sessions}, {calls}, loop lag {health.loop_lag_ms} ms",
    ]
    for row in health.dependencies:
        detail = f"  {row.detail}" if row.detail else ""
        lines.append(f"  {row.status:<12} {row.name}{detail}")
    lines += [f"  {'left out':<12} tool {problem}" for problem in state.tool_problems]
    for holder in state.permits.holders:
        leak = f"  LEAKED: {holder.leak}" if holder.leak else ""
        lines.append(
            f"  holds        {holder.tool} {holder.request} for {holder.age_s:.1f} s "
            f"on {holder.provider or 'no provider'}{leak}"
        )
    return lines
