"""``exai stop`` and ``exai status``: the running daemon, found by its state file or its port."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from exai_ops.commands.terminal import visible
from exai_ops.errors import CouldNotLook, UsageError
from exai_ops.settings import Settings, environment, load

if TYPE_CHECKING:
    from exai_ops.daemon.runstate import RunState

_LOOK_S: Final = 0.05
EnvFile = Annotated[Path | None, typer.Option(help="Dotenv file beneath the environment; .env if it exists.")]
Port = Annotated[int | None, typer.Option(help="Port of the daemon (EXAI_WS_PORT).")]


def stop(
    port: Port = None,
    wait: Annotated[float | None, typer.Option(help="Seconds to wait; EXAI_DRAIN_SECS and 5 more.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Do not let it finish its calls.")] = False,
    env_file: EnvFile = None,
) -> int:
    """Ask the running daemon to drain and end, and wait until it has."""
    settings = _settings(port, env_file)
    from exai_ops.daemon import runstate

    state = runstate.read(settings, settings.ws_port)
    if state is None or not state.alive():
        raise CouldNotLook(
            f"no exai daemon runs on port {settings.ws_port}", hint=_absent_hint(settings, settings.ws_port)
        )
    try:
        os.kill(state.pid, signal.SIGTERM)
        if force:
            os.kill(state.pid, signal.SIGINT)  # another one: two of a kind may arrive as one
    except PermissionError as error:
        raise UsageError(f"pid {state.pid} belongs to another user", hint="run it as that user") from error
    except ProcessLookupError:
        pass
    deadline_s = wait if wait is not None else settings.drain_s + 5
    if not _ended(state, deadline_s):
        typer.echo(
            f"exai: error: pid {state.pid} still drains after {deadline_s:g} s\n"
            "hint: `exai status` shows its calls; `exai stop --force` cuts them",
            err=True,
        )
        return 124
    typer.echo(f"stopped: pid {state.pid}, port {state.port}")
    return 0


def status(
    port: Port = None,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    env_file: EnvFile = None,
) -> int:
    """Say what the running daemon is doing: exit 0 when it is well, 1 when not, 3 when there is none."""
    if output not in ("text", "json"):
        raise UsageError(f"--format: {output!r} is not known", hint="text or json")
    settings = _settings(port, env_file)
    health = get_page(settings, "/health")
    state = get_page(settings, "/status")
    if output == "json":
        typer.echo(json.dumps({"health": health, "status": state}, indent=2))
    else:
        # Names of requests and words of providers are in it.
        typer.echo("\n".join(visible(line, keep="") for line in _lines(health, state)))
    return 0 if health["status"] == "ok" else 1


def _settings(port: int | None, env_file: Path | None) -> Settings:
    return load(environment(env_file), overrides={} if port is None else {"ws_port": port})


def _ended(state: RunState, timeout_s: float) -> bool:
    """Whether a daemon has ended within the time, be it reaped by its parent or not."""
    deadline = time.monotonic() + timeout_s
    while state.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_S)
    return True


def _absent_hint(settings: Settings, port: int) -> str:
    from exai_ops.daemon import runstate

    pid = runstate.listener(port)
    if pid is None:
        return f"start one with `exai serve`; its state would be in {settings.state_dir}"
    return f"port {port} is {runstate.port_holder(settings, port)}"


def get_page(settings: Settings, path: str) -> dict[str, Any]:
    """A page of the daemon, as data; CouldNotLook when it does not answer."""
    import httpx

    from exai_ops.daemon import runstate

    state = runstate.read(settings, settings.ws_port)
    host = state.url if state is not None and state.alive() else f"ws://{_host(settings)}:{settings.ws_port}/"
    url = host.replace("ws://", "http://").rstrip("/") + path
    headers = {"Authorization": f"Bearer {settings.ws_token.reveal()}"} if settings.ws_token else {}
    try:
        answer = httpx.get(url, headers=headers, timeout=5, trust_env=False)
        if answer.status_code in (401, 403):
            raise CouldNotLook(
                f"{url} answered {answer.status_code}", hint="EXAI_WS_TOKEN is not the daemon's"
            )
        page: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise CouldNotLook(
            f"no exai daemon answers at {url}: {type(error).__name__}",
            hint=_absent_hint(settings, settings.ws_port),
        ) from error
    return page


def _host(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.ws_host, settings.ws_host)  # noqa: S104
    return f"[{host}]" if ":" in host else host


def _lines(health: dict[str, Any], state: dict[str, Any]) -> list[str]:
    simulated = ", answers simulated" if health["simulated"] else ""
    life = f"pid {health['pid']}, up {health['uptime_human']}, version {health['version']}{simulated}"
    calls = f"in flight {health['inflight']}/{health['global_capacity']}, queued {health['queued']}"
    lines = [
        f"{health['status']}: {life}",
        f"sessions {health['sessions']}, {calls}, loop lag {health['loop_lag_ms']} ms",
    ]
    for row in health["dependencies"]:
        detail = f"  {row['detail']}" if row.get("detail") else ""
        lines.append(f"  {row['status']:<12} {row['name']}{detail}")
    for holder in state["permits"]["holders"]:
        leak = f"  LEAKED: {holder['leak']}" if holder["leak"] else ""
        lines.append(
            f"  holds        {holder['tool']} {holder['request']} for {holder['age_s']:.1f} s "
            f"on {holder['provider'] or 'no provider'}{leak}"
        )
    return lines
