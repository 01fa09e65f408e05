"""``exai serve``: run the daemon until it is told to stop."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from exai_ops.settings import environment, load


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (EXAI_WS_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (EXAI_WS_PORT).")] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Let the simulator answer, though keys may be set.")
    ] = False,
    stop_is_success: Annotated[
        bool,
        typer.Option(
            "--stop-is-success", help="Exit 0, not by the signal, after SIGTERM if no call had to be cut."
        ),
    ] = False,
    env_file: Annotated[
        Path | None, typer.Option(help="Dotenv file beneath the environment; .env if it exists.")
    ] = None,
) -> int:
    """Run the daemon until it is told to stop.

    SIGTERM and SIGINT let accepted calls finish; a second one ends at once. The process then ends by the
    signal, which a shell shows as 143 or 130.
    """
    given = {"ws_host": host, "ws_port": port}
    overrides = {name: value for name, value in given.items() if value is not None}
    settings = load(environment(env_file), overrides=overrides)
    from exai_ops import logs
    from exai_ops.daemon import lifecycle
    from exai_ops.daemon.loop import run
    from exai_ops.daemon.mcp import mcp_app
    from exai_ops.daemon.signals import end_by

    logs.configure(settings)
    end = run(lifecycle.serve(settings, simulate=simulate, mcp=mcp_app))
    logs.close()
    if end.signal is not None and not (stop_is_success and end.whole and end.signal == signal.SIGTERM):
        end_by(end.signal)
    return 0
